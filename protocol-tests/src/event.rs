//! What a server sends over a WebSocket.

use serde_json::Value;

/// A message of the protocol, as received.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The `event` member.
    pub name: String,
    /// The `channel` member.
    pub channel: Option<String>,
    /// The `data` member as sent; null when absent.
    pub data: Value,
    /// The whole message.
    pub message: Value,
    /// The whole message as it came over the wire.
    pub text: String,
}

impl Event {
    /// Reads a message; panics when it is not a JSON object with an `event` string, which a server must send.
    pub fn parse(text: &str) -> Event {
        let message: Value = serde_json::from_str(text)
            .unwrap_or_else(|error| panic!("the server sent bad JSON: {error}: {text}"));
        let name = message["event"]
            .as_str()
            .unwrap_or_else(|| panic!("the server sent a message without an event string: {text}"));
        Event {
            name: name.to_owned(),
            channel: message["channel"].as_str().map(str::to_owned),
            data: message["data"].clone(),
            text: text.to_owned(),
            message,
        }
    }

    /// The channel; panics when there is none.
    pub fn channel(&self) -> &str {
        self.channel
            .as_deref()
            .unwrap_or_else(|| panic!("no channel: {}", self.text))
    }

    /// The data, which must be a string.
    pub fn data_text(&self) -> &str {
        self.data
            .as_str()
            .unwrap_or_else(|| panic!("data is not a string: {}", self.text))
    }

    /// The JSON in the data, which must be a string.
    pub fn data_json(&self) -> Value {
        serde_json::from_str(self.data_text())
            .unwrap_or_else(|error| panic!("data holds no JSON: {error}: {}", self.text))
    }

    /// The code of a `pusher:error`; `None` when it is null or absent. Panics when it is anything else.
    pub fn error_code(&self) -> Option<u64> {
        match &self.data["code"] {
            Value::Null => None,
            Value::Number(code) => code.as_u64(),
            other => panic!("the code is {other}: {}", self.text),
        }
    }

    /// The message of a `pusher:error`, which must be a text that says something.
    pub fn error_message(&self) -> &str {
        match self.data["message"].as_str() {
            Some(text) if !text.is_empty() => text,
            _ => panic!("no message: {}", self.text),
        }
    }
}

/// A close frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// The code; `None` when the frame was empty.
    pub code: Option<u16>,
    /// The reason, empty when there was none.
    pub reason: String,
}

impl Close {
    /// Reads a close frame's payload.
    pub fn parse(payload: &[u8]) -> Close {
        match payload.split_first_chunk() {
            Some((code, reason)) => Close {
                code: Some(u16::from_be_bytes(*code)),
                reason: std::str::from_utf8(reason)
                    .unwrap_or_else(|error| panic!("the close reason is not UTF-8: {error}"))
                    .to_owned(),
            },
            None => {
                assert!(
                    payload.is_empty(),
                    "a close payload of one byte is an error"
                );
                Close {
                    code: None,
                    reason: String::new(),
                }
            }
        }
    }
}
