//! Drawing the panels. The picture brings its own background in both colour schemes, so that it
//! is legible on any page.

use std::fmt::Write;

use super::{Bar, Panel};

const COLUMNS: usize = 2;
const MARGIN: f64 = 28.0;
const HEAD_HEIGHT: f64 = 74.0;
const PANEL_WIDTH: f64 = 400.0;
const PANEL_GAP: f64 = 36.0;
const PANEL_HEAD: f64 = 34.0;
const BAR_PITCH: f64 = 24.0;
const BAR_HEIGHT: f64 = 16.0;
const PANEL_FOOT: f64 = 30.0;
/// Of a panel's width: the names before the bars, and the figures after the longest.
const NAMES_WIDTH: f64 = 88.0;
const FIGURES_WIDTH: f64 = 52.0;
const FOOTER_PITCH: f64 = 17.0;

const STYLE: &str = "
  text { font: 13px system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif; fill: #1f2328 }
  .title { font-size: 19px; font-weight: 650 }
  .panel { font-weight: 600 }
  .own { font-weight: 650 }
  .muted { fill: #59636e }
  .small { font-size: 11.5px }
  .card { fill: #ffffff; stroke: #d1d9e0 }
  .bar { fill: #afb8c1 }
  .bar.own { fill: #0f7b6c }
  .floor { stroke: #1f2328; stroke-dasharray: 3 3; opacity: .55 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .muted { fill: #9198a1 }
    .card { fill: #0d1117; stroke: #3d444d }
    .bar { fill: #59636e }
    .bar.own { fill: #2cc5ac }
    .floor { stroke: #e6edf3 }
  }
";

/// `what` names what the figures are of.
pub(super) fn document(panels: &[Panel], what: &str, footer: &[String]) -> String {
    let columns = panels.len().min(COLUMNS);
    let width = 2.0 * MARGIN + columns as f64 * (PANEL_WIDTH + PANEL_GAP) - PANEL_GAP;
    let mut body = String::new();
    let mut top = HEAD_HEIGHT;
    for row in panels.chunks(COLUMNS) {
        for (column, panel) in row.iter().enumerate() {
            let left = MARGIN + column as f64 * (PANEL_WIDTH + PANEL_GAP);
            body += &draw_panel(panel, left, top);
        }
        top += row.iter().map(panel_height).fold(0.0, f64::max);
    }
    let text_width = width - 2.0 * MARGIN;
    for line in footer.iter().flat_map(|line| wrap(line, text_width)) {
        body += &text(MARGIN, top + 8.0, "muted small", &line);
        top += FOOTER_PITCH;
    }
    let height = top + MARGIN - FOOTER_PITCH / 2.0;
    let mut head = text(
        MARGIN,
        36.0,
        "title",
        "What a server costs, in multiples of the floor",
    );
    let subtitle =
        format!("{what} for the same work; shorter is better; the dashed line is the floor");
    head += &text(MARGIN, 57.0, "muted", &subtitle);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" \
         aria-label=\"{what} in multiples of the floor\">\n\
         <style>{STYLE}</style>\n\
         <rect class=\"card\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"10\"/>\n\
         {head}{body}</svg>\n",
        width - 1.0,
        height - 1.0,
    )
}

fn panel_height(panel: &Panel) -> f64 {
    PANEL_HEAD + panel.bars.len() as f64 * BAR_PITCH + PANEL_FOOT
}

/// Every panel has a scale of its own, from 0 to its longest bar.
fn draw_panel(panel: &Panel, left: f64, top: f64) -> String {
    let zero = left + NAMES_WIDTH;
    let longest = panel.bars.iter().map(|bar| bar.over_floor);
    let longest = longest.fold(1.0, f64::max);
    let per_floor = (PANEL_WIDTH - NAMES_WIDTH - FIGURES_WIDTH) / longest;
    let bars_top = top + PANEL_HEAD;
    let bars_height = panel.bars.len() as f64 * BAR_PITCH;

    let mut drawn = text(left, top + 18.0, "panel", panel.title);
    let absolute = format!("Fanfare: {}", panel.absolute);
    drawn += &end_text(left + PANEL_WIDTH, top + 18.0, "muted small", &absolute);
    for (index, bar) in panel.bars.iter().enumerate() {
        let bar_top = bars_top + index as f64 * BAR_PITCH;
        drawn += &draw_bar(bar, zero, bar_top, per_floor);
    }
    let floor = zero + per_floor;
    let _ = writeln!(
        drawn,
        "<line class=\"floor\" x1=\"{floor:.1}\" x2=\"{floor:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>",
        bars_top - 4.0,
        bars_top + bars_height,
    );
    drawn
}

fn draw_bar(bar: &Bar, zero: f64, top: f64, per_floor: f64) -> String {
    let own = if bar.is_fanfare { " own" } else { "" };
    let baseline = top + BAR_HEIGHT - 3.5;
    // Never too short to be seen.
    let width = (bar.over_floor * per_floor).max(2.0);
    let mut drawn = end_text(zero - 8.0, baseline, own.trim_start(), &bar.name);
    let _ = writeln!(
        drawn,
        "<rect class=\"bar{own}\" x=\"{zero:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" \
         height=\"{BAR_HEIGHT}\" rx=\"2\"/>",
    );
    let multiple = format!("{}×", figure(bar.over_floor));
    // Clear of the dashed line, where that is beyond the end of the bar.
    let after = width.max(if bar.over_floor < 1.0 { per_floor } else { 0.0 });
    drawn += &text(zero + after + 7.0, baseline, own.trim_start(), &multiple);
    drawn
}

/// About three digits.
pub(super) fn figure(value: f64) -> String {
    let decimals = match value.abs() {
        small if small < 10.0 => 2,
        middling if middling < 100.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.decimals$}");
    match decimals {
        0 => text,
        _ => text.trim_end_matches('0').trim_end_matches('.').to_string(),
    }
}

fn text(x: f64, y: f64, class: &str, content: &str) -> String {
    let content = escape(content);
    format!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{content}</text>\n")
}

fn end_text(x: f64, y: f64, class: &str, content: &str) -> String {
    let content = escape(content);
    format!(
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"end\">{content}</text>\n"
    )
}

fn escape(content: &str) -> String {
    content
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// Lines of small text that fit the width, by a generous guess at the width of a letter.
fn wrap(content: &str, width: f64) -> Vec<String> {
    let most = (width / 6.1) as usize;
    let mut lines = vec![String::new()];
    for word in content.split(' ') {
        let at = lines.len() - 1;
        let used = lines[at].chars().count();
        if used == 0 {
            lines[at].push_str(word);
        } else if used + 1 + word.chars().count() <= most {
            lines[at] = format!("{} {word}", lines[at]);
        } else {
            lines.push(word.to_string());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_about_three_digits() {
        let figures = [1.0, 1.053, 10.0, 31.96, 299.0, 100.0];
        let texts = ["1", "1.05", "10", "32", "299", "100"];
        assert_eq!(figures.map(figure), texts);
    }

    #[test]
    fn text_is_wrapped_and_escaped() {
        assert_eq!(wrap("one two three", 61.0), ["one two", "three"]);
        assert_eq!(escape("a < b & c"), "a &lt; b &amp; c");
    }
}
