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

/// A JSON string token has an escape that stands for no character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an escape is half of a surrogate pair, which is no text")]
pub struct LoneSurrogate;

/// Fails if a JSON string token has an escape that stands for no character: clients that check
/// their input would not accept it.
pub fn check_surrogates(token: &str) -> Result<(), LoneSurrogate> {
    // Tokens without such escapes, nearly all of them, are passed after one quick search.
    let may_hold_surrogate = memmem::find_iter(token.as_bytes(), b"\\u")
        .any(|at| matches!(token.as_bytes().get(at + 2), Some(b'd' | b'D')));
    if !may_hold_surrogate {
        return Ok(());
    }
    serde_json::from_str::<Cow<'_, str>>(token)
        .map(|_| ())
        .map_err(|_| LoneSurrogate)
}

/// The length in bytes of the text that a JSON string token stands for.
pub fn decoded_len(token: &str) -> usize {
    let mut length = token.len() - 2;
    let mut rest = &token.as_bytes()[1..token.len() - 1];
    while let Some(at) = memchr(b'\\', rest) {
        let (written, text) = match rest.get(at + 1) {
            Some(b'u') => unicode_escape(&rest[at + 2..]),
            _ => (2, 1),
        };
        length = length + text - written;
        rest = rest.get(at + written..).unwrap_or_default();
    }
    length
}

/// How long a `\u` escape is in the token and as UTF-8. A pair of surrogates is two escapes
/// for one character of four bytes: two for each half.
fn unicode_escape(digits: &[u8]) -> (usize, usize) {
    const WRITTEN: usize = 6;
    let value = digits
        .get(..4)
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let text = match value {
        Some(0..=0x7f) => 1,
        Some(0x80..=0x7ff) => 2,
        Some(0xd800..=0xdfff) => 2,
        _ => 3,
    };
    (WRITTEN, text)
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
        assert_eq!(check_surrogates(r#""\ud800""#), Err(LoneSurrogate));
        assert_eq!(check_surrogates(r#""\uDE00\uD83D""#), Err(LoneSurrogate));
        assert_eq!(check_surrogates(r#""\ud83d\ude00""#), Ok(()));
        assert_eq!(check_surrogates(r#""\\ud800""#), Ok(()));
        assert_eq!(decoded_len(r#""\ud83d\ude00""#), 4);
        assert_eq!(decoded_len(r#""\u00fc\u20ac\u0000\/""#), 2 + 3 + 1 + 1);
        assert_eq!(decoded_len(r#""\\ud800""#), 6);
    }

    proptest! {
        #[test]
        fn the_length_of_a_token_is_that_of_its_text(text in "\\PC*|[\"\\\\\n\t\u{1}a]*") {
            let token = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(decoded_len(&token), text.len());
        }

        #[test]
        fn escaped_text_reads_back(text in any::<String>()) {
            let token = format!("\"{}\"", escaped(&text));
            prop_assert_eq!(serde_json::from_str::<String>(&token).unwrap(), text);
        }
    }
}
