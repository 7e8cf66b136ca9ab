//! The encoder: `json_encode` of PHP 7.1 and later, compact and with `JSON_PRETTY_PRINT`.
//!
//! Source: the PHP manual, `json_encode`, at its default flags: slashes are escaped, and so is
//! every character beyond ASCII. The tests compare it with PHP itself. Integers beyond PHP's own
//! (64 bits with a sign) are kept whole here.

use std::fmt::Write as _;

use super::float::write_float;
use super::tree::{Json, Object};

/// One step of indentation.
const INDENT: &str = "    ";

/// As `json_encode($value)`.
#[cfg(any(test, feature = "ably", feature = "redis"))]
pub(crate) fn to_php(object: &Object) -> String {
    let mut encoder = Encoder::new(None);
    encoder.object(object);
    encoder.text
}

/// As `json_encode($value, JSON_PRETTY_PRINT)`.
pub(crate) fn to_pretty_php(object: &Object) -> String {
    let mut encoder = Encoder::new(Some(0));
    encoder.object(object);
    encoder.text
}

struct Encoder {
    text: String,
    /// How deep the next line is indented; `None` when there are no lines.
    depth: Option<usize>,
}

impl Encoder {
    fn new(depth: Option<usize>) -> Self {
        let text = String::new();
        Self { text, depth }
    }

    fn value(&mut self, value: &Json) {
        match value {
            Json::Null => self.text.push_str("null"),
            Json::Bool(true) => self.text.push_str("true"),
            Json::Bool(false) => self.text.push_str("false"),
            Json::Unsigned(number) => self.text.push_str(&number.to_string()),
            Json::Signed(number) => self.text.push_str(&number.to_string()),
            Json::Float(number) => write_float(&mut self.text, *number),
            Json::String(text) => self.string(text),
            Json::Array(items) => self.group(['[', ']'], items, |encoder, item| {
                encoder.value(item);
            }),
            Json::Object(object) => self.object(object),
        }
    }

    fn object(&mut self, object: &Object) {
        self.group(['{', '}'], object.members(), |encoder, (name, value)| {
            encoder.string(name);
            encoder
                .text
                .push_str(if encoder.depth.is_some() { ": " } else { ":" });
            encoder.value(value);
        });
    }

    fn group<T>(&mut self, [open, close]: [char; 2], items: &[T], each: impl Fn(&mut Self, &T)) {
        self.text.push(open);
        if !items.is_empty() {
            self.depth = self.depth.map(|depth| depth + 1);
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    self.text.push(',');
                }
                self.new_line();
                each(self, item);
            }
            self.depth = self.depth.map(|depth| depth - 1);
            self.new_line();
        }
        self.text.push(close);
    }

    fn new_line(&mut self) {
        if let Some(depth) = self.depth {
            self.text.push('\n');
            self.text.extend(std::iter::repeat_n(INDENT, depth));
        }
    }

    fn string(&mut self, text: &str) {
        self.text.push('"');
        for c in text.chars() {
            match c {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '/' => self.text.push_str("\\/"),
                '\u{8}' => self.text.push_str("\\b"),
                '\u{c}' => self.text.push_str("\\f"),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                '\t' => self.text.push_str("\\t"),
                ' '..='\u{7f}' => self.text.push(c),
                _ => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        write!(self.text, "\\u{unit:04x}")
                            .expect("writing to a String cannot fail");
                    }
                }
            }
        }
        self.text.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(json: &str) -> Object {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn slashes_and_all_beyond_ascii_are_escaped() {
        let text = r#"{"ä/":"\u007f /é😀\u2028<>&'\"\\\b\f\n\r\t\u0001\u001f"}"#;
        assert_eq!(
            to_php(&object(text)),
            concat!(
                "{\"\\u00e4\\/\":\"\u{7f} ",
                r#"\/\u00e9\ud83d\ude00\u2028<>&'\"\\\b\f\n\r\t\u0001\u001f"}"#
            )
        );
    }

    #[test]
    fn pretty_is_indented_by_four_and_empty_stays_together() {
        let json = r#"{"a":[],"b":{},"c":[1,[-2]],"d":{"x":1.5,"y":null},"":true}"#;
        let pretty = "{\n    \"a\": [],\n    \"b\": {},\n    \"c\": [\n        1,\n        [\n            -2\n        ]\n    ],\n    \"d\": {\n        \"x\": 1.5,\n        \"y\": null\n    },\n    \"\": true\n}";
        assert_eq!(to_pretty_php(&object(json)), pretty);
        assert_eq!(to_php(&object(json)), json);
        assert_eq!(to_pretty_php(&object("{}")), "{}");
    }
}
