//! The configuration that a process runs with, for people who want to see it while it is read again.

use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::terminal::safe;

/// What is shown and holds without a restart. (Apps have routes of their own, and tokens are shown as they hold.)
const AT_ONCE: [&str; 1] = ["/log/level"];
/// Keys that are named, and characters of what was wrong with a file.
const MOST_NAMED: usize = 200;
const MOST_SHOWN: usize = 1000;

/// The configuration that a process runs with.
#[derive(Debug, Default)]
pub struct InUse(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    shown: Value,
    /// Keys that are set otherwise by now.
    needs_restart: Vec<String>,
    /// Why the files could not be used when they were last read.
    error: Option<String>,
}

impl InUse {
    /// A process that has just started with it; it is as people may see it.
    pub fn new(shown: Value) -> Self {
        Self(Mutex::new(State {
            shown,
            ..State::default()
        }))
    }

    /// It was read again, and is now as shown: some of it holds at once, these keys when the process starts again.
    pub fn was_read(&self, shown: &Value, needs_restart: &[String]) {
        let mut state = self.0.lock();
        for at_once in AT_ONCE {
            let newer = shown.pointer(at_once);
            if let (Some(held), Some(newer)) = (state.shown.pointer_mut(at_once), newer) {
                *held = newer.clone();
            }
        }
        state.needs_restart = needs_restart.iter().take(MOST_NAMED).cloned().collect();
        state.error = None;
    }

    /// It could not be used when it was read again.
    pub fn was_not_read(&self, error: &str) {
        self.0.lock().error = Some(safe(error, MOST_SHOWN));
    }

    /// Each section with the values that hold; what waits for a restart, and why it could not be read again.
    pub fn json(&self) -> Value {
        let state = self.0.lock();
        let mut all = state.shown.clone();
        if let Value::Object(sections) = &mut all {
            sections.insert("needs_restart".into(), json!(state.needs_restart));
            sections.insert("last_reload_error".into(), json!(state.error));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_is_shown_and_what_waits_is_named() {
        let config =
            |timeout, level| json!({ "server": { "t": timeout }, "log": { "level": level } });
        let in_use = InUse::new(config(1, "info"));
        in_use.was_read(&config(2, "debug"), &["server.t".to_owned()]);
        let shown = in_use.json();
        assert_eq!(shown["server"]["t"], 1);
        assert_eq!(shown["log"]["level"], "debug");
        assert_eq!(shown["needs_restart"], json!(["server.t"]));
        in_use.was_not_read("line 3: expected a number");
        assert_eq!(
            in_use.json()["last_reload_error"],
            "line 3: expected a number"
        );
        in_use.was_read(&config(1, "debug"), &[]);
        let shown = in_use.json();
        assert_eq!(shown["needs_restart"], json!([]));
        assert_eq!(shown["last_reload_error"], Value::Null);
    }
}
