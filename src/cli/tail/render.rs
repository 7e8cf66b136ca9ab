//! What a line looks like. Names and data come from strangers: a control character that reached
//! the terminal could recolour it, retitle it, or make it type. None does, in any style.

use std::fmt::Write;

use serde::Deserialize;

use crate::terminal::{safe, safe_json};

/// How lines are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// For people, in colours.
    Coloured,
    /// For people, without.
    Plain,
    /// As received.
    Json,
}

/// Characters of the data that are shown to people.
const MAX_DATA: usize = 160;

/// Characters of every other text that are shown to people.
const MAX_TEXT: usize = 200;

/// The objects of the stream, as far as they are shown.
#[derive(Deserialize)]
struct Received {
    #[serde(rename = "type")]
    kind: String,
    time: Option<u64>,
    app: Option<String>,
    channel: Option<String>,
    event: Option<String>,
    socket_id: Option<String>,
    transport: Option<String>,
    address: Option<String>,
    user_id: Option<String>,
    code: Option<u16>,
    message: Option<String>,
    data: Option<String>,
    #[serde(default)]
    truncated: bool,
    count: Option<u64>,
}

/// One line for one received message, without line end.
pub(super) fn line(json: &str, style: Style) -> String {
    if style == Style::Json {
        return safe_json(json);
    }
    let Ok(received) = serde_json::from_str::<Received>(json) else {
        return safe(json, MAX_TEXT);
    };
    let mut line = Line {
        text: String::new(),
        coloured: style == Style::Coloured,
    };
    match (received.kind.as_str(), received.count) {
        ("dropped", Some(count)) => line.push(DIM, &format!("… {count} more, not shown")),
        _ => line.describe(&received),
    }
    line.text
}

const DIM: &str = "2";
const BOLD: &str = "1";
const PLAIN: &str = "0";
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const MAGENTA: &str = "35";
const CYAN: &str = "36";

struct Line {
    text: String,
    coloured: bool,
}

impl Line {
    fn describe(&mut self, received: &Received) {
        let colour = match received.kind.as_str() {
            "connect" | "subscribe" => GREEN,
            "disconnect" | "unsubscribe" => YELLOW,
            "publish" => CYAN,
            "client_event" => MAGENTA,
            "error" => RED,
            _ => PLAIN,
        };
        if let Some(time) = received.time {
            self.push(DIM, &time_of_day(time));
        }
        self.push(colour, &format!("{:<12}", safe(&received.kind, MAX_TEXT)));
        self.text(DIM, "app ", &received.app);
        self.text(BOLD, "", &received.channel);
        self.text(colour, "", &received.event);
        self.text(DIM, "socket ", &received.socket_id);
        self.text(DIM, "by ", &received.transport);
        self.text(DIM, "from ", &received.address);
        self.text(DIM, "user ", &received.user_id);
        if let Some(code) = received.code {
            self.push(colour, &code.to_string());
        }
        self.text(PLAIN, "", &received.message);
        if let Some(data) = &received.data {
            let more = received.truncated && data.chars().count() <= MAX_DATA;
            let more = if more { "…" } else { "" };
            self.push(PLAIN, &format!("{}{more}", safe(data, MAX_DATA)));
        }
    }

    fn text(&mut self, colour: &str, label: &str, text: &Option<String>) {
        if let Some(text) = text {
            self.push(colour, &format!("{label}{}", safe(text, MAX_TEXT)));
        }
    }

    /// Appends a part, two spaces after the one before. `part` must be safe already.
    fn push(&mut self, colour: &str, part: &str) {
        if !self.text.is_empty() {
            self.text.push_str("  ");
        }
        if self.coloured && colour != PLAIN {
            let _ = write!(self.text, "\x1b[{colour}m{part}\x1b[0m");
        } else {
            self.text.push_str(part);
        }
    }
}

/// In UTC: `millis` counts from 1970.
fn time_of_day(millis: u64) -> String {
    let (seconds, millis) = (millis / 1000 % 86_400, millis % 1000);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}.{millis:03}Z", seconds % 60)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::terminal::acts;

    #[test]
    fn an_event_is_one_readable_line() {
        let json = json!({
            "type": "publish", "time": 1_700_000_000_123_u64, "app": "10001", "channel": "orders",
            "event": "created", "socket_id": "1.2", "data": "{\"id\":1}",
        });
        let expected = "22:13:20.123Z  publish       app 10001  orders  created  socket 1.2  \
                        {\"id\":1}";
        assert_eq!(line(&json.to_string(), Style::Plain), expected);
        let coloured = line(&json.to_string(), Style::Coloured);
        assert!(coloured.contains("\x1b[1morders\x1b[0m"), "{coloured:?}");

        let json = json!({"type": "error", "code": 4009, "message": "no such user"});
        let expected = "error         4009  no such user";
        assert_eq!(line(&json.to_string(), Style::Plain), expected);
        let json = r#"{"type":"dropped","count":12}"#;
        assert_eq!(line(json, Style::Plain), "… 12 more, not shown");
        assert_eq!(line("who knows", Style::Plain), "who knows");
    }

    #[test]
    fn data_is_shortened_for_people_and_whole_as_json() {
        let data = "é".repeat(500);
        let json = json!({"type": "publish", "data": data}).to_string();
        let shown = line(&json, Style::Plain);
        assert!(shown.ends_with(&format!("  {}…", "é".repeat(MAX_DATA))));
        assert_eq!(line(&json, Style::Json), json);

        let cut = json!({"type": "publish", "data": "cut", "truncated": true}).to_string();
        assert!(line(&cut, Style::Plain).ends_with("  cut…"));
    }

    #[test]
    fn what_acts_on_a_terminal_is_spelled_out() {
        let nasty = "\x1b]0;title\x07\u{9b}2J\r\n\u{202e}\u{2028}\u{e0041}\x7f";
        let expected = "\\u{1b}]0;title\\u{7}\\u{9b}2J\\u{d}\\u{a}\\u{202e}\\u{2028}\\u{e0041}\
                        \\u{7f}";
        assert_eq!(safe(nasty, 100), expected);
        assert_eq!(safe("häßlich ✓ 👩‍💻", 100), "häßlich ✓ 👩‍💻");

        let json = json!({"type": nasty, "data": nasty}).to_string();
        let shown = line(&json, Style::Json);
        let (before, after): (Value, Value) = (
            serde_json::from_str(&json).unwrap(),
            serde_json::from_str(&shown).unwrap(),
        );
        assert_eq!(before, after);
    }

    proptest! {
        #[test]
        fn nothing_that_acts_gets_through(texts in prop::collection::vec(any::<String>(), 8)) {
            let object = json!({
                "type": texts[0], "app": texts[1], "channel": texts[2], "event": texts[3],
                "socket_id": texts[4], "user_id": texts[5], "message": texts[6], "data": texts[7],
            });
            for received in [object.to_string(), texts.concat()] {
                for style in [Style::Plain, Style::Json] {
                    let shown = line(&received, style);
                    prop_assert!(!shown.chars().any(acts), "{shown:?}");
                }
                let coloured = line(&received, Style::Coloured);
                let mut uncoloured = coloured;
                for colour in [PLAIN, DIM, BOLD, RED, GREEN, YELLOW, MAGENTA, CYAN] {
                    uncoloured = uncoloured.replace(&format!("\x1b[{colour}m"), "");
                }
                prop_assert!(!uncoloured.chars().any(acts), "{uncoloured:?}");
            }
            let shown = line(&object.to_string(), Style::Json);
            let parsed: Value = serde_json::from_str(&shown).unwrap();
            prop_assert_eq!(parsed, object);
        }
    }
}
