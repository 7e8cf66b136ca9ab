//! How findings are printed.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::doctor::{Finding, Level, worst};

/// For people.
pub(super) fn as_text(findings: &[Finding]) -> String {
    let mut text = String::new();
    let mut add = |line: std::fmt::Arguments<'_>| {
        writeln!(text, "{line}").expect("writing to a String cannot fail");
    };
    for finding in findings {
        let (level, id) = (finding.level.name(), finding.id);
        add(format_args!("{level:<6} {id}: {}", finding.text));
        for line in finding.remedy.iter().flat_map(|remedy| remedy.lines()) {
            add(format_args!("       → {line}"));
        }
    }
    let count = |level| findings.iter().filter(|it| it.level == level).count();
    let (errors, warnings) = (count(Level::Error), count(Level::Warn));
    add(format_args!(""));
    match (errors, warnings) {
        (0, 0) => add(format_args!("nothing is wrong")),
        _ => add(format_args!("errors: {errors}, warnings: {warnings}")),
    }
    text
}

/// For programs.
pub(super) fn as_json(findings: &[Finding]) -> String {
    let all: Vec<Value> = findings.iter().map(Finding::json).collect();
    format!(
        "{}\n",
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "level": worst(findings).name(),
            "findings": all,
        })
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Vec<Finding> {
        vec![
            Finding::ok("tcp", "fine"),
            Finding::warn("clock", "late", "set it"),
            Finding::error("upgrade", "dropped", "do this\nand that"),
        ]
    }

    #[test]
    fn people_are_shown_all_of_it_and_what_to_do() {
        let expected = "ok     tcp: fine\nwarn   clock: late\n       → set it\n\
                        error  upgrade: dropped\n       → do this\n       → and that\n\
                        \nerrors: 1, warnings: 1\n";
        assert_eq!(as_text(&some()), expected);
        assert!(as_text(&some()[..1]).ends_with("\nnothing is wrong\n"));
    }

    #[test]
    fn programs_are_given_the_same() {
        let json: Value = serde_json::from_str(&as_json(&some())).unwrap();
        assert_eq!(json["level"], "error");
        assert_eq!(json["findings"][1]["id"], "clock");
        assert_eq!(json["findings"][0]["remedy"], Value::Null);
    }
}
