//! What was found, and how it is shown.

use serde_json::{Value, json};

use crate::terminal::safe;

/// Characters of what others sent that are shown.
const MOST_SHOWN: usize = 300;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// All is well.
    Ok,
    /// It may be wrong.
    Warn,
    /// It is wrong.
    Error,
}

impl Level {
    /// Its name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which; it stays the same from version to version.
    pub id: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What there is, in a sentence.
    pub text: String,
    /// What to do about it, where it is not well.
    pub remedy: Option<String>,
}

impl Finding {
    /// All is well.
    pub fn ok(id: &'static str, text: impl Into<String>) -> Self {
        Self {
            id,
            level: Level::Ok,
            text: text.into(),
            remedy: None,
        }
    }

    /// It may be wrong; what to do then.
    pub fn warn(id: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            level: Level::Warn,
            remedy: Some(remedy.into()),
            ..Self::ok(id, text)
        }
    }

    /// It is wrong; what to do about it.
    pub fn error(id: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            level: Level::Error,
            remedy: Some(remedy.into()),
            ..Self::ok(id, text)
        }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "id": self.id,
            "level": self.level.name(),
            "text": self.text,
            "remedy": self.remedy,
        })
    }
}

/// What others have sent, as it may be shown: nothing in it acts on a terminal, and it is short.
pub fn shown(text: &str) -> String {
    let line: Vec<&str> = text.split_whitespace().collect();
    safe(&line.join(" "), MOST_SHOWN)
}

/// The worst of all; nothing found is well.
pub fn worst(findings: &[Finding]) -> Level {
    let levels = findings.iter().map(|finding| finding.level);
    levels.max().unwrap_or(Level::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

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
