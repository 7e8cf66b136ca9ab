//! An event's payload, as clients of the `pusher` driver see it.
//!
//! Source: laravel/framework, `RedisBroadcaster::broadcast` and `PusherBroadcaster::broadcast`.
//! Both get the payload with the sender's socket id in it, as its member `socket`. The latter
//! takes that out before it encodes; the former does not.

use memchr::memmem;
use serde_json::value::RawValue;

use crate::protocol::json;
use crate::protocol::server::EventData;

/// The data that the `pusher` driver would have sent for the payload of the `redis` driver.
pub(super) fn as_sent_to_pusher(payload: &RawValue) -> EventData<'_> {
    let has_socket = memmem::find(payload.get().as_bytes(), SOCKET.as_bytes()).is_some();
    let without = has_socket
        .then(|| without_socket(&json::compact(payload)))
        .flatten();
    match without {
        Some(text) => EventData::from_text(&text),
        None => EventData::from_json(payload),
    }
}

/// The member as PHP writes its name.
const SOCKET: &str = r#""socket""#;

/// An object without its member `socket`, if it has one. No white space is between the tokens.
fn without_socket(object: &str) -> Option<String> {
    let members = members(object)?;
    let rest: Vec<_> = members.iter().filter(|(name, _)| *name != SOCKET).collect();
    if rest.len() == members.len() {
        return None;
    }
    // What is left was an array of PHP's, of which those numbered from 0 are written as lists:
    // the empty one, too.
    let mut numbered = rest.iter().enumerate();
    let is_list = numbered.all(|(index, (name, _))| is_number(name, index));
    Some(if is_list {
        format!(
            "[{}]",
            join(rest.iter().map(|(_, value)| (*value).to_owned()))
        )
    } else {
        let members = rest.iter().map(|(name, value)| format!("{name}:{value}"));
        format!("{{{}}}", join(members))
    })
}

fn is_number(name: &str, number: usize) -> bool {
    let digits = name.trim_matches('"');
    digits.len() + 2 == name.len() && digits == itoa::Buffer::new().format(number)
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(",")
}

/// Names and values of an object's members as they are written; None for any other value.
/// The text is valid JSON without white space between its tokens.
fn members(object: &str) -> Option<Vec<(&str, &str)>> {
    let inner = object.strip_prefix('{')?.strip_suffix('}')?;
    let mut members = Vec::new();
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let (mut start, mut colon) = (0, None);
    for (at, byte) in inner.bytes().enumerate() {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b':' if depth == 0 => colon = Some(at),
            b',' if depth == 0 => {
                members.push(member(inner, start, colon?, at));
                start = at + 1;
            }
            _ => {}
        }
    }
    if !inner.is_empty() {
        members.push(member(inner, start, colon?, inner.len()));
    }
    Some(members)
}

fn member(inner: &str, start: usize, colon: usize, end: usize) -> (&str, &str) {
    (&inner[start..colon], &inner[colon + 1..end])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;

    fn sent(payload: &str) -> String {
        let payload: Box<RawValue> = serde_json::from_str(payload).unwrap();
        let data = as_sent_to_pusher(&payload);
        serde_json::from_str(data.token()).unwrap()
    }

    #[test]
    fn the_socket_is_taken_out_and_the_rest_stays_as_written() {
        for (payload, data) in [
            (r#"{"a":1.50,"socket":null}"#, r#"{"a":1.50}"#),
            (
                r#"{"socket":"1.2","b":"\u00fc\/","a":{}}"#,
                r#"{"b":"\u00fc\/","a":{}}"#,
            ),
            (r#"{ "a" : [ 1 ] , "socket" : "x,\"}" }"#, r#"{"a":[1]}"#),
            (r#"{"a":{"socket":1}}"#, r#"{"a":{"socket":1}}"#),
            (
                r#"{"a":"\"socket\"","b":"socket"}"#,
                r#"{"a":"\"socket\"","b":"socket"}"#,
            ),
            (r#"["socket"]"#, r#"["socket"]"#),
            (r#""\"socket\"""#, r#""socket""#),
        ] {
            assert_eq!(sent(payload), data, "{payload}");
        }
    }

    #[test]
    fn what_was_a_list_in_php_is_one_again() {
        for (payload, data) in [
            (r#"{"socket":null}"#, "[]"),
            (
                r#"{"0":"a","1":{"b":[]},"socket":null}"#,
                r#"["a",{"b":[]}]"#,
            ),
            (r#"{"1":"a","0":"b","socket":null}"#, r#"{"1":"a","0":"b"}"#),
            (r#"{"0":"a","2":"b","socket":null}"#, r#"{"0":"a","2":"b"}"#),
            (r#"{"00":"a","socket":null}"#, r#"{"00":"a"}"#),
            (r#"{"0":"a","1":"b"}"#, r#"{"0":"a","1":"b"}"#),
            ("{}", "{}"),
        ] {
            assert_eq!(sent(payload), data, "{payload}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i32>().prop_map(Value::from),
            "[\"\\\\{}\\[\\]:, a]{0,6}|\\PC{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            let object = proptest::collection::vec((any_name(), inner.clone()), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect()));
            prop_oneof![
                proptest::collection::vec(inner, 0..4).prop_map(Value::from),
                object
            ]
        })
    }

    fn any_name() -> impl Strategy<Value = String> {
        "socket|a|[\"\\\\{}:, ]{0,4}"
    }

    proptest! {
        #[test]
        fn nothing_but_the_socket_is_lost(
            members in proptest::collection::vec((any_name(), any_json()), 1..5),
        ) {
            let mut object: Map<String, Value> = members.into_iter().collect();
            let text = serde_json::to_string_pretty(&object).unwrap();
            object.remove("socket");
            let expected = if object.is_empty() { Value::Array(Vec::new()) } else { Value::Object(object) };
            prop_assert_eq!(serde_json::from_str::<Value>(&sent(&text)).unwrap(), expected);
        }
    }
}
