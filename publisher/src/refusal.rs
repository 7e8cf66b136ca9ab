//! What a server says when it refuses, as one sentence for a person.

use std::borrow::Cow;

use serde_json::Value;

/// Bytes of a refusal that are looked at.
const MOST_READ: usize = 64 << 10;
/// Bytes of a sentence that are shown; an ellipsis stands for the rest.
const MOST_SHOWN: usize = 500;

/// The sentence in the body of a refusal: the `message` or the `error` of JSON, the title of a
/// page of HTML, such as a proxy's, or the text as it is. `None` if the body has none.
pub(crate) fn sentence(body: &[u8]) -> Option<String> {
    let body = &body[..body.len().min(MOST_READ)];
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{feff}').trim();
    let words = if text.starts_with('<') {
        Cow::Owned(format!("{} (a page of HTML)", title(text)?))
    } else {
        let json = serde_json::from_str(text).ok();
        json.as_ref()
            .and_then(of_json)
            .map_or(Cow::Borrowed(text), |words| Cow::Owned(words.to_owned()))
    };
    Some(in_one_line(&words)).filter(|line| !line.is_empty())
}

/// A server's words in one line without control characters, and not too long.
pub(crate) fn in_one_line(words: &str) -> String {
    let mut line = String::new();
    let is_space = |c: char| c.is_whitespace() || c.is_control() || is_invisible(c);
    for word in words.split(is_space).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > MOST_SHOWN {
            line.truncate(line.floor_char_boundary(MOST_SHOWN));
            line.push('…');
            break;
        }
    }
    line
}

/// What turns the direction in which a terminal shows text.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `{"message": …}`, `{"error": …}`, `{"error": {"message": …}}`, or a text alone.
fn of_json(json: &Value) -> Option<&str> {
    let members = match json {
        Value::String(text) => return Some(text),
        other => other.as_object()?,
    };
    ["message", "error"].iter().find_map(|name| {
        let member = members.get(*name)?;
        let text = member
            .as_str()
            .or_else(|| member.get("message")?.as_str())?;
        (!text.trim().is_empty()).then_some(text)
    })
}

/// The title of a page.
fn title(page: &str) -> Option<&str> {
    // Of the same length as the page, so that what is found in one is in the same place of the other.
    let lower = page.to_ascii_lowercase();
    let element = lower.find("<title")?;
    let start = element + lower[element..].find('>')? + 1;
    let end = start + lower[start..].find("</title")?;
    let title = page[start..end].trim();
    (!title.is_empty()).then_some(title)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: &str) -> String {
        sentence(body.as_bytes()).unwrap_or_default()
    }

    #[test]
    fn json_is_shown_by_its_sentence() {
        for body in [
            "no such app",
            r#""no such app""#,
            r#"{"error":"no such app","status":404}"#,
            r#"{"error":"not_found","message":"no such app"}"#,
            r#"{"message":"","error":"no such app"}"#,
            r#"{"error":{"code":40400,"message":"no such app"}}"#,
            "\u{feff} \r\n{\"message\":\"no\\nsuch\\u0000\\u001b\\tapp\"}\n",
        ] {
            assert_eq!(of(body), "no such app", "{body}");
        }
    }

    #[test]
    fn other_json_is_shown_as_it_is() {
        for body in [r#"{"code":7}"#, r#"{"message":["a"]}"#, "[1]", r#"{"mess"#] {
            assert_eq!(of(body), body);
        }
    }

    #[test]
    fn a_page_is_shown_by_its_title() {
        let page = "<!DOCTYPE html>\r\n<HTML><head><Title lang=\"en\">\n502 Bad Gateway</Title>\
                    </head><body><center><h1>502</h1>nginx</center></body></HTML>";
        assert_eq!(of(page), "502 Bad Gateway (a page of HTML)");
        for page in ["<html>", "<title>", "<title></title>", "<title"] {
            assert_eq!(sentence(page.as_bytes()), None, "{page}");
        }
    }

    #[test]
    fn a_sentence_is_a_line_without_control_characters() {
        assert_eq!(
            of(" a\r\n\x1b[31mred\x07\u{202e}\u{85} b\0 "),
            "a [31mred b"
        );
        assert_eq!(sentence(b"\xff\n"), Some("\u{fffd}".into()));
        assert_eq!(sentence(b" \n\0"), None);
        assert_eq!(sentence(b""), None);
    }

    #[test]
    fn a_sentence_ends_somewhere() {
        for body in ["é".repeat(90_000), "é ".repeat(90_000)] {
            let line = of(&body);
            assert!(line.ends_with('…') && line.len() <= MOST_SHOWN + '…'.len_utf8());
        }
        let nested = format!("{}{}", "[".repeat(9000), "]".repeat(9000));
        assert!(of(&nested).starts_with("[["));
    }
}
