//! JSON inside JSON: the protocol carries data as strings that hold JSON.

use std::borrow::Cow;

use memchr::{memchr, memmem};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Appends `text` as a JSON string, quotes included.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("writing a str to a Vec cannot fail");
}

/// Appends `text` as it stands inside a JSON string, without the quotes.
pub fn write_escaped(out: &mut Vec<u8>, text: &str) {
    let start = out.len();
    write_string(out, text);
    out.pop();
    out.remove(start);
}

/// `text` as it stands inside a JSON string, without the quotes.
pub fn escaped(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + text.len() / 8 + 2);
    write_escaped(&mut out, text);
    String::from_utf8(out).expect("an escaped str is UTF-8")
}

/// A present, non-null value. Null in an optional field is the same as an absent one.
pub fn present(value: Option<&RawValue>) -> Option<&RawValue> {
    value.filter(|value| value.get() != "null")
}

/// The text of a JSON string, borrowed where it has no escapes; None for any other value.
pub fn as_string(value: &RawValue) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str::<Text<'_>>(value.get())
        .ok()
        .map(|text| text.0)
}

/// Whether the value is a JSON string.
pub fn is_string(value: &RawValue) -> bool {
    value.get().starts_with('"')
}

/// The length in bytes of the text that a JSON string token stands for.
///
/// Returns `Err` for an escape that stands for no character (half of a surrogate pair): text
/// like that cannot be sent on to clients that check it.
pub fn decoded_len(token: &str) -> Result<usize, ()> {
    let inner = &token[1..token.len() - 1];
    if memchr(b'\\', inner.as_bytes()).is_none() {
        return Ok(inner.len());
    }
    if memmem::find(inner.as_bytes(), b"\\u").is_some() {
        return serde_json::from_str::<Cow<'_, str>>(token)
            .map(|text| text.len())
            .map_err(|_| ());
    }
    // Every other escape is two bytes for one.
    let mut length = inner.len();
    let mut rest = inner.as_bytes();
    while let Some(at) = memchr(b'\\', rest) {
        length -= 1;
        rest = &rest[at + 2..];
    }
    Ok(length)
}

/// The value's text without the white space between its tokens; numbers, key order and
/// strings stay as they were written.
pub fn compact(value: &RawValue) -> String {
    let mut out = String::with_capacity(value.get().len());
    let mut in_string = false;
    let mut escaped = false;
    for c in value.get().chars() {
        if in_string {
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else if c.is_ascii_whitespace() {
            continue;
        } else {
            in_string = c == '"';
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn compacting_keeps_tokens_and_drops_space() {
        let value = raw("{ \"a b\" : [ 1.50 , \"x \\\" y\" , null ] ,\n\t\"z\":\"\\\\\" }");
        assert_eq!(compact(&value), r#"{"a b":[1.50,"x \" y",null],"z":"\\"}"#);
    }

    #[test]
    fn half_a_surrogate_pair_is_no_text() {
        assert_eq!(decoded_len(r#""\ud800""#), Err(()));
        assert_eq!(decoded_len(r#""\ud83d\ude00""#), Ok(4));
        assert_eq!(decoded_len(r#""\\ud800""#), Ok(6));
    }

    proptest! {
        #[test]
        fn the_length_of_a_token_is_that_of_its_text(text in "\\PC*|[\"\\\\\n\t\u{1}a]*") {
            let token = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(decoded_len(&token), Ok(text.len()));
        }

        #[test]
        fn escaped_text_reads_back(text in any::<String>()) {
            let token = format!("\"{}\"", escaped(&text));
            prop_assert_eq!(serde_json::from_str::<String>(&token).unwrap(), text);
        }
    }
}
