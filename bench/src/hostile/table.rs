//! The findings as a Markdown table.

use super::Finding;

/// What others may notice, and what a hostile connection may cost.
const MOST_RATIO: f64 = 3.0;
/// With the limits of an address and of TLS, whose refusals and pace `/up` may meet as well.
const MOST_RATIO_AT_THE_EDGE: f64 = 2.0;
const MOST_UP_MS: f64 = 20.0;
const MOST_GROWTH_MIB: f64 = 2.0;
const MOST_LOG_LINES: usize = 100;

#[expect(clippy::print_stdout, reason = "the table is this command's output")]
pub(super) fn print(findings: &[Finding]) {
    println!(
        "| attack | hostile | binary | p50 ms | p99 ms | ratio | publish p99 ms | /up p99 ms | MiB each | MiB left \
         | log lines | met | ends |\n|---|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---|---|"
    );
    for finding in findings {
        let figure = |value: Option<f64>| value.map_or("–".into(), |value| format!("{value:.1}"));
        let ends = finding.ends.iter();
        let ends: Vec<String> = ends
            .map(|(end, count)| format!("{count} × {end}"))
            .collect();
        println!(
            "| {} | {} | {} | {:.1} | {:.1} | {} | {:.1} | {} | {:.2} | {:.1} | {} | {} | {} |",
            finding.attack,
            finding.hostile,
            finding.binary,
            finding.p50_ms,
            finding.p99_ms,
            figure(finding.ratio),
            finding.publish_p99_ms,
            figure(finding.up_p99_ms),
            finding.growth_mib_each,
            finding.left_mib,
            finding.log_lines,
            if is_met(finding) { "yes" } else { "no" },
            ends.join(", "),
        );
    }
    println!(
        "\nmet: p99 of publish to delivery at most {MOST_RATIO} times that without an attack, \
         /up's at most {MOST_UP_MS} ms without a failure, at most {MOST_GROWTH_MIB} MiB for each \
         hostile connection, at most {MOST_LOG_LINES} lines of log. For attacks on limits of an address and on TLS: at most \
         {MOST_RATIO_AT_THE_EDGE} times, and as much memory and log."
    );
}

fn is_met(finding: &Finding) -> bool {
    let at_most = |most: f64| finding.ratio.is_none_or(|ratio| ratio <= most);
    let is_up = finding.up_p99_ms.is_some_and(|up| up <= MOST_UP_MS) && finding.up_failures == 0;
    let others_are_well = if finding.is_at_the_edge {
        at_most(MOST_RATIO_AT_THE_EDGE)
    } else {
        at_most(MOST_RATIO) && is_up
    };
    let is_bounded =
        finding.growth_mib_each <= MOST_GROWTH_MIB && finding.log_lines <= MOST_LOG_LINES;
    others_are_well && is_bounded
}
