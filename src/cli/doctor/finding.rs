//! What was found, and how it is shown.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::super::tail::safe;

/// Characters of what others sent that are shown.
const MOST_SHOWN: usize = 300;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Ok,
    Warn,
    Error,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// Which; it stays the same from version to version.
    pub(super) id: &'static str,
    pub(super) level: Level,
    /// What there is, in a sentence.
    pub(super) text: String,
    /// What to do about it, where it is not well.
    pub(super) remedy: Option<String>,
}

impl Finding {
    pub(super) fn ok(id: &'static str, text: impl Into<String>) -> Self {
        Self {
            id,
            level: Level::Ok,
            text: text.into(),
            remedy: None,
        }
    }

    pub(super) fn warn(
        id: &'static str,
        text: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            level: Level::Warn,
            remedy: Some(remedy.into()),
            ..Self::ok(id, text)
        }
    }

    pub(super) fn error(
        id: &'static str,
        text: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            level: Level::Error,
            remedy: Some(remedy.into()),
            ..Self::ok(id, text)
        }
    }
}

/// What others have sent, as it may be shown: nothing in it acts on a terminal, and it is short.
pub(super) fn shown(text: &str) -> String {
    let line: Vec<&str> = text.split_whitespace().collect();
    safe(&line.join(" "), MOST_SHOWN)
}

/// The worst of all; nothing found is well.
pub(super) fn worst(findings: &[Finding]) -> Level {
    let levels = findings.iter().map(|finding| finding.level);
    levels.max().unwrap_or(Level::Ok)
}

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
    let one = |finding: &Finding| -> Value {
        json!({
            "id": finding.id,
            "level": finding.level.name(),
            "text": finding.text,
            "remedy": finding.remedy,
        })
    };
    let all: Vec<Value> = findings.iter().map(one).collect();
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

    #[test]
    fn what_others_sent_does_not_act_on_a_terminal() {
        let evil = format!("a\r\n\u{1b}[2Jb\u{202e}{}", "x".repeat(500));
        let shown = shown(&evil);
        assert!(
            !shown.contains(['\u{1b}', '\r', '\n', '\u{202e}']),
            "{shown}"
        );
        assert!(shown.chars().count() < 330, "{shown}");
    }
}
