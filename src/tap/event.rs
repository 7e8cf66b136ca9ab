//! What can be seen passing, and its JSON.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::Serialize;

/// Bytes of an event's data that are shown.
const MAX_DATA: usize = 4 * 1024;

/// Bytes of every other text that are shown; a client may have sent anything as a name.
const MAX_TEXT: usize = 512;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A connection was established.
    Connect,
    /// A connection ended, with `code`.
    Disconnect,
    /// A connection was signed in as a user.
    SignIn,
    /// A connection subscribed to a channel.
    Subscribe,
    /// A connection left a channel.
    Unsubscribe,
    /// An event was accepted over HTTP.
    Publish,
    /// A client event was forwarded.
    ClientEvent,
    /// A client or publisher was sent that something is wrong: `code` and `message`.
    Error,
}

/// Something that happened, borrowed from where it happened. Start from [`TapEvent::new`].
#[derive(Clone, Copy, Debug, Serialize)]
pub struct TapEvent<'a> {
    /// What happened.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Id of the app; none when there is no such app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<&'a str>,
    /// The channel concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<&'a str>,
    /// Name of the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<&'a str>,
    /// The connection concerned; with a publish, the one that was excluded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub socket_id: Option<&'a str>,
    /// What carries the connection, if it is no WebSocket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<&'a str>,
    /// The address of who connects, or whose request is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// The presence member or signed-in user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<&'a str>,
    /// The event's data, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<&'a str>,
    /// The event's data as the JSON that messages hold, where the text is not at hand: a JSON
    /// string is decoded, but not before it is certain to be shown.
    #[serde(skip)]
    pub data_json: Option<&'a str>,
    /// A close code, the code of a `pusher:error` or an HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u16>,
    /// What the client or publisher was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<&'a str>,
}

/// The object that watchers are sent.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    event: TapEvent<'a>,
    /// Milliseconds since 1970.
    time: u64,
    /// Whether a text was too long to be shown whole.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

impl<'a> TapEvent<'a> {
    /// An event that says nothing but its kind.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            app: None,
            channel: None,
            event: None,
            socket_id: None,
            transport: None,
            address: None,
            user_id: None,
            data: None,
            data_json: None,
            code: None,
            message: None,
        }
    }

    /// One JSON object, texts cut to what is shown. `time` is in milliseconds since 1970.
    pub(super) fn to_json(self, time: u64) -> String {
        let decoded = self.data_json.map(as_text);
        let with_data = TapEvent {
            data: self.data.or(decoded.as_deref()),
            ..self
        };
        let (event, truncated) = with_data.cut();
        let line = Line {
            event,
            time,
            truncated,
        };
        serde_json::to_string(&line).expect("texts and numbers can always be encoded")
    }

    fn cut(mut self) -> (Self, bool) {
        let mut truncated = false;
        let mut cut = |text: &mut Option<&'a str>, max: usize| {
            if let Some(whole) = *text
                && whole.len() > max
            {
                *text = Some(&whole[..whole.floor_char_boundary(max)]);
                truncated = true;
            }
        };
        cut(&mut self.data, MAX_DATA);
        for text in [
            &mut self.app,
            &mut self.channel,
            &mut self.event,
            &mut self.socket_id,
            &mut self.user_id,
            &mut self.message,
        ] {
            cut(text, MAX_TEXT);
        }
        (self, truncated)
    }
}

/// What a JSON string says; any other JSON as it is.
fn as_text(json: &str) -> Cow<'_, str> {
    match serde_json::from_str::<String>(json) {
        Ok(text) => text.into(),
        Err(_) => json.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_holds_what_is_known_and_nothing_else() {
        let bare = TapEvent::new(Kind::Connect).to_json(1);
        assert_eq!(bare, r#"{"type":"connect","time":1}"#);

        let event = TapEvent {
            app: Some("1"),
            channel: Some("news"),
            event: Some("client-x"),
            socket_id: Some("1.2"),
            user_id: Some("u"),
            data: Some("{\"a\":\"\u{1b}\"}"),
            code: Some(4301),
            message: Some("no"),
            ..TapEvent::new(Kind::ClientEvent)
        };
        let json: serde_json::Value = serde_json::from_str(&event.to_json(2)).unwrap();
        let expected = serde_json::json!({
            "type": "client_event", "app": "1", "channel": "news", "event": "client-x",
            "socket_id": "1.2", "user_id": "u", "data": "{\"a\":\"\u{1b}\"}",
            "code": 4301, "message": "no", "time": 2,
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn data_that_is_at_hand_as_json_is_shown_as_text() {
        for (data_json, expected) in [
            (r#""{\"a\":\"é\u00e9\"}""#, r#"{"a":"éé"}"#),
            (r#"{"a":[1, 2]}"#, r#"{"a":[1, 2]}"#),
            ("7", "7"),
            (r#""""#, ""),
        ] {
            let event = TapEvent {
                data_json: Some(data_json),
                ..TapEvent::new(Kind::Publish)
            };
            let json: serde_json::Value = serde_json::from_str(&event.to_json(0)).unwrap();
            assert_eq!(json["data"], expected);
        }
    }

    #[test]
    fn long_texts_are_cut_between_characters_and_flagged() {
        let data = "é".repeat(MAX_DATA);
        let name = format!("x{}", "é".repeat(MAX_TEXT));
        let event = TapEvent {
            channel: Some(&name),
            data: Some(&data),
            ..TapEvent::new(Kind::Publish)
        };
        let json: serde_json::Value = serde_json::from_str(&event.to_json(0)).unwrap();
        assert_eq!(json["truncated"], true);
        assert_eq!(json["data"].as_str().unwrap().len(), MAX_DATA);
        assert_eq!(json["channel"].as_str().unwrap().len(), MAX_TEXT - 1);

        let exact = "a".repeat(MAX_DATA);
        let event = TapEvent {
            data: Some(&exact),
            ..TapEvent::new(Kind::Publish)
        };
        let json: serde_json::Value = serde_json::from_str(&event.to_json(0)).unwrap();
        assert!(json.get("truncated").is_none());
        assert_eq!(json["data"], exact);
    }
}
