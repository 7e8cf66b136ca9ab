//! What Redis sends: entries that other nodes wrote, topics, answers of scripts.

use bytes::Bytes;

use super::entry::{Entry, Message, What};
use super::keys::Keys;
use super::script::{ChannelReply, Published, Pulse, Report};

/// Reads the input as a published message, as an entry and as a topic.
///
/// # Panics
/// When an entry holds more than the input, or an event that clients cannot be sent: that is a
/// finding.
pub fn entry(input: &[u8]) {
    let bytes = Bytes::copy_from_slice(input);
    check(&bytes);
    if let Ok(message) = Message::parse(bytes) {
        check(&message.body);
    }
    if let Ok(topic) = std::str::from_utf8(input) {
        let _ = Keys::new("fanfare:").parse(topic);
    }
}

fn check(body: &Bytes) {
    let held = match Entry::parse(body).map(|entry| entry.what) {
        Ok(What::Events { events, .. }) => {
            for event in &events {
                assert!(std::str::from_utf8(&event.payload).is_ok());
            }
            events.iter().map(|event| event.payload.len()).sum()
        }
        Ok(What::Added(users)) => users.iter().map(|(id, info)| id.len() + info.len()).sum(),
        Ok(What::Removed(users)) => users.iter().map(String::len).sum(),
        Ok(What::Close { reason, .. }) => reason.len(),
        Ok(What::Total(_) | What::Online | What::Offline) | Err(_) => 0,
    };
    assert!(held <= body.len());
}

/// Reads the input as an answer of Redis, and that as each script's.
///
/// # Panics
/// When an answer makes a reader panic: that is a finding.
pub fn answer(input: &[u8]) {
    let Ok(value) = redis::parse_redis_value(input) else {
        return;
    };
    let _ = ChannelReply::read(value.clone());
    let _ = Report::read(value.clone());
    let _ = Pulse::read(value.clone());
    let _ = Published::read(value);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    fn field() -> impl Strategy<Value = String> {
        prop_oneof![
            "[0-9]{0,3}".prop_map(|text| format!("{}:{text}", text.len())),
            "\\PC{0,8}".prop_map(|text| format!("{}:{text}", text.len())),
            "[0-9]{1,20}:\\PC{0,4}",
        ]
    }

    fn answer() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(|number| format!(":{number}\r\n")),
            "[0-9]{1,4}-[0-9]{1,4}|[0-9a-f]{16}|[a-z]{0,4}"
                .prop_map(|text| format!("${}\r\n{text}\r\n", text.len())),
            Just("$-1\r\n".to_owned()),
        ];
        leaf.prop_recursive(3, 40, 12, |inner| {
            prop::collection::vec(inner, 0..13)
                .prop_map(|parts| format!("*{}\r\n{}", parts.len(), parts.concat()))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn no_entry_makes_its_reader_panic(
            kind in "[EX+#OF-]",
            fields in prop::collection::vec(field(), 0..6),
            other in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let body = format!("1{kind}0123456789abcdef{}", fields.concat());
            super::entry(body.as_bytes());
            super::entry(format!("epoch 1-2 {body}").as_bytes());
            super::entry(&other);
        }

        #[test]
        fn no_answer_makes_its_reader_panic(
            parts in prop::collection::vec(answer(), 0..13),
            other in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            super::answer(format!("*{}\r\n{}", parts.len(), parts.concat()).as_bytes());
            super::answer(&other);
        }
    }
}
