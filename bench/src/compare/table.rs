//! The comparison as a Markdown table that also reads well in a terminal.

use super::rows::Row;

const HEADS: [&str; 6] = ["", "base", "fanfare", "ratio", "target", "met"];

#[expect(clippy::print_stdout, reason = "the table is this command's output")]
pub(super) fn print(rows: &[Row], quick: bool) {
    print!("{}", table(rows));
    println!(
        "\nbase: the floor, or in rows about webhooks, Fanfare without one, or in rows about a \
         cluster, one node alone, or in rows about what a connection is carried by or who watches, \
         a plain WebSocket that nobody watches."
    );
    if quick {
        println!("\nQuick runs: they show that everything works, not how fast.");
    }
}

fn table(rows: &[Row]) -> String {
    let lines: Vec<[String; 6]> = rows.iter().map(cells).collect();
    let mut widths = HEADS.map(|head| head.chars().count());
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = line(&HEADS.map(String::from), &widths);
    for (column, width) in widths.iter().enumerate() {
        let rule = "-".repeat(width + 1);
        text += &match column {
            0 | 4 | 5 => format!("|{rule}-"),
            _ => format!("|{rule}:"),
        };
    }
    text += "|\n";
    lines.iter().for_each(|cells| text += &line(cells, &widths));
    text
}

/// Figures stand to the right of their columns.
fn line(cells: &[String; 6], widths: &[usize; 6]) -> String {
    let mut text = String::new();
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        text += &match column {
            0 | 4 | 5 => format!("| {cell:<width$} "),
            _ => format!("| {cell:>width$} "),
        };
    }
    text + "|\n"
}

fn cells(row: &Row) -> [String; 6] {
    let figure = |value: Option<f64>| match (value, row.unit) {
        (None, _) => "–".to_string(),
        (Some(value), "") => plain(value),
        (Some(value), unit) => format!("{} {unit}", plain(value)),
    };
    [
        row.metric.to_string(),
        figure(row.base),
        figure(row.fanfare),
        row.ratio
            .map_or("–".to_string(), |ratio| format!("{ratio:.2}")),
        row.target.clone(),
        match row.met {
            Some(true) => "yes",
            Some(false) => "no",
            None if row.fanfare.is_some() => "–",
            None => "not measured",
        }
        .to_string(),
    ]
}

/// About three digits, thousands apart.
fn plain(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1000.0 {
        return format!("{value}");
    }
    match value.abs() {
        small if small < 10.0 => format!("{value:.2}"),
        middling if middling < 1000.0 => format!("{value:.1}"),
        _ => thousands(value),
    }
}

fn thousands(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 {
        text.insert(0, '-');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_readable() {
        let figures = [0.0, 3.0, 4.123, 52.26, 860_123.4, -2049.5, 1000.0];
        let texts = ["0", "3", "4.12", "52.3", "860,123", "-2,050", "1,000"];
        assert_eq!(figures.map(plain), texts);
    }
}
