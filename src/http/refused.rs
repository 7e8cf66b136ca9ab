//! What a publish that was refused was for, so that whoever follows a channel sees it.

use serde::Deserialize;
use serde_json::Value;

/// Bytes of a body that are looked into.
pub(super) const MOST_BYTES: usize = 64 << 10;
/// Channels of a publish that are shown.
const MOST_CHANNELS: usize = 10;

/// The fields of an event that matter here, or of several. Anything may stand in them.
#[derive(Deserialize)]
struct Fields {
    #[serde(default)]
    channel: Value,
    #[serde(default)]
    channels: Value,
    #[serde(default)]
    batch: Vec<Slot>,
}

#[derive(Deserialize)]
struct Slot {
    #[serde(default)]
    channel: Value,
}

/// The channels that a body names, each once, and so many at most; nobody has checked them.
pub(super) fn channels(body: &[u8]) -> Vec<String> {
    if body.len() > MOST_BYTES {
        return Vec::new();
    }
    let Ok(fields) = serde_json::from_slice::<Fields>(body) else {
        return Vec::new();
    };
    let several = fields.channels.as_array().into_iter().flatten();
    let in_slots = fields.batch.iter().map(|slot| &slot.channel);
    let named = std::iter::once(&fields.channel)
        .chain(several)
        .chain(in_slots);
    let mut found: Vec<String> = Vec::new();
    for name in named.filter_map(Value::as_str) {
        if found.len() < MOST_CHANNELS && !found.iter().any(|known| known == name) {
            found.push(name.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_found_wherever_they_stand() {
        assert_eq!(channels(br#"{"name":"x","channel":"a"}"#), ["a"]);
        assert_eq!(
            channels(br#"{"channels":["a","b","a"],"data":[]}"#),
            ["a", "b"]
        );
        assert_eq!(
            channels(br#"{"batch":[{"channel":"a"},{"channel":"b"},{}]}"#),
            ["a", "b"]
        );
    }

    #[test]
    fn anything_else_names_none_and_there_is_an_end() {
        for body in ["", "[", "7", r#"{"channel":7,"channels":{"a":1}}"#] {
            assert!(channels(body.as_bytes()).is_empty(), "{body}");
        }
        let many: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
        let many = serde_json::json!({ "channels": many }).to_string();
        assert_eq!(channels(many.as_bytes()).len(), MOST_CHANNELS);
    }
}
