//! Events that are broadcast by Laravel and by this crate.

use publisher::{Broadcast, Channel, SocketId};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// An event, from which each side makes its own.
pub(crate) struct Case {
    pub(crate) event: &'static str,
    /// Kinds and names.
    pub(crate) channels: Vec<(&'static str, &'static str)>,
    /// A JSON object.
    pub(crate) payload: String,
    pub(crate) socket: Option<&'static str>,
}

impl Case {
    fn new(payload: impl Into<String>) -> Case {
        Case {
            event: "message.sent",
            channels: vec![("private", "conversation.1")],
            payload: payload.into(),
            socket: None,
        }
    }

    /// The event for this crate.
    pub(crate) fn broadcast(&self) -> Broadcast {
        let channels: Vec<_> = self.channels.iter().map(channel).collect();
        let payload = RawValue::from_string(self.payload.clone()).unwrap();
        let socket_id = self.socket.map(|id| SocketId::parse(id).unwrap());
        Broadcast::new(self.event, channels, &payload)
            .unwrap()
            .to_others(socket_id)
    }

    /// The event for `broadcast.php`, with `more` members in front.
    pub(crate) fn for_php(&self, more: &[(&str, Value)]) -> String {
        let event = [
            ("event", json!(self.event)),
            ("channels", json!(self.channels)),
            ("socket", json!(self.socket)),
        ];
        let members = more
            .iter()
            .chain(&event)
            .map(|(name, value)| format!("\"{name}\":{value}"));
        let members: Vec<_> = members.collect();
        // The payload as it is: parsing it would lose the order of its members.
        format!("{{{},\"payload\":{}}}", members.join(","), self.payload)
    }
}

fn channel((kind, name): &(&str, &str)) -> Channel {
    match *kind {
        "private" => Channel::private(name),
        "presence" => Channel::presence(name),
        "encrypted" => Channel::encrypted(name),
        _ => Channel::public(name),
    }
}

/// Events whose JSON PHP writes in ways of its own, and ordinary ones.
pub(crate) fn cases() -> Vec<Case> {
    let message = r#"{"id":7,"conversation_id":1,"direction":"outbound","content":"Grüße, 世界 😀 <b>\"q\"</b>","sender":{"id":2,"name":"Zoë","avatar":"https://example.com/a.png"},"created_at":"2026-01-02T03:04:05.678Z"}"#;
    let everywhere = Case {
        event: "App\\Events\\Message/Sent é",
        channels: vec![
            ("private", "conversation.1"),
            ("public", "news"),
            ("presence", "room"),
            ("encrypted", "secret"),
        ],
        socket: Some("1234.5678"),
        ..Case::new(message)
    };
    let named_by_its_class = Case {
        event: "App\\Events\\MessageSent",
        ..Case::new(message)
    };
    vec![
        Case::new(message),
        named_by_its_class,
        everywhere,
        Case::new("{}"),
        Case::new(r#"{"z":1,"a":{"y":2,"b":3},"socket":"overwritten","m":null}"#),
        Case::new(
            r#"{"list":[],"object":{},"nested":[[],{},[{}],{"a":[]}],"b":[true,false,null]}"#,
        ),
        Case::new(format!(
            r#"{{"text":{}}}"#,
            json!(every_kind_of_character())
        )),
        Case::new(json!({"f": numbers_of_every_size()}).to_string()),
        Case::new(r#"{"ключ/é":"\/","\u0001":"\u0000","😀":"\ud83d\ude00","":0}"#),
        Case::new(
            r#"{"i":[0,-1,9223372036854775807,-9223372036854775808],"f":[1.0,-0.0,0.1,-1.5,123.456,1e15,1e16,1e17,1.5e300,1e22,0.0001,0.00001,1.2345e-5,5e-324,1.7976931348623157e308,123456789012345680.0,0.30000000000000004]}"#,
        ),
    ]
}

/// Finite numbers from all over the range of a `f64`, the same in each run.
fn numbers_of_every_size() -> Vec<f64> {
    let mut bits = 1_u64;
    let mut next = || {
        // Source: Knuth, MMIX.
        bits = bits
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        bits
    };
    let any = (0..1000)
        .map(|_| f64::from_bits(next()))
        .collect::<Vec<_>>();
    let fractions = (0..1000).map(|_| next() as f64 / u64::MAX as f64);
    any.into_iter()
        .chain(fractions)
        .filter(|number| number.is_finite())
        .collect()
}

/// All of the first 400 characters, and some of each length beyond.
fn every_kind_of_character() -> String {
    let first = (0..400).filter_map(char::from_u32);
    first
        .chain("\u{2028}\u{2029}\u{feff}\u{fffd}\u{ffff}\u{10000}\u{10ffff}".chars())
        .collect()
}
