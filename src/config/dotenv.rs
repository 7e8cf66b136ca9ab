//! `.env` files, in the dialect of the parser that Laravel uses: the relay must find the very
//! secret that the project's own code signs with.
//!
//! `NAME=value`, with `export` before or `# a comment` behind. A bare value ends at a blank or
//! at `#`. `'single quotes'` keep everything. `"Double quotes"` may span lines and know the
//! escapes `\" \\ \$ \n \r \t \f \v`. `${NAME}` is replaced, bare and in double quotes, by that
//! variable of the environment or of a line above; unknown ones stay as they are, and so does
//! `$NAME`.

use std::collections::BTreeMap;

/// An assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The variable.
    pub(super) name: String,
    /// The line it begins on, counted from 1.
    pub(super) line: usize,
    /// Its value, or why it has none.
    pub(super) value: Result<String, Malformed>,
}

/// What is wrong with a value; it reveals nothing of the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    /// What the syntax asks for.
    pub(super) expected: &'static str,
    /// What is there instead.
    pub(super) found: &'static str,
}

/// All assignments of a file, in order.
pub(super) fn parse(text: &str, environment: &BTreeMap<String, String>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    while !rest.is_empty() {
        let line = 1 + line_breaks(&text[..text.len() - rest.len()]);
        let end = rest.find('\n').unwrap_or(rest.len());
        let Some((name, value)) = assignment(&rest[..end]) else {
            rest = after_line(rest);
            continue;
        };
        let start = end - value.len();
        let lookup = |name: &str| {
            let above = || entries.iter().rev().find(|entry| entry.name == name);
            let given = environment.get(name).map(String::as_str);
            given.or_else(|| above()?.value.as_deref().ok())
        };
        let mut reader = Reader {
            rest: &rest[start..],
            lookup: &lookup,
        };
        let value = reader.value();
        let behind = reader.rest;
        // A value that went wrong, over several lines perhaps, is given up at its first line.
        rest = after_line(if value.is_ok() { behind } else { rest });
        let name = name.to_owned();
        entries.push(Entry { name, line, value });
    }
    entries
}

fn line_breaks(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

fn after_line(text: &str) -> &str {
    text.split_once('\n').map_or("", |(_, rest)| rest)
}

/// The name and what follows `=`, of a line that assigns something.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once('=')?;
    let name = name.trim();
    let name = match name.strip_prefix("export") {
        Some(exported) if exported.starts_with([' ', '\t']) => exported.trim_start(),
        _ => name,
    };
    let unquoted = |quote: char| name.strip_prefix(quote)?.strip_suffix(quote);
    let name = unquoted('"').or_else(|| unquoted('\'')).unwrap_or(name);
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.".contains(&byte);
    (!name.is_empty() && name.bytes().all(fits)).then_some((name, value))
}

struct Reader<'t, 'v> {
    rest: &'t str,
    lookup: &'v dyn Fn(&str) -> Option<&'v str>,
}

impl Reader<'_, '_> {
    /// The value, up to the end of its line or a comment.
    fn value(&mut self) -> Result<String, Malformed> {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
        let value = match self.rest.chars().next() {
            Some('\'') => self.single_quoted()?,
            Some('"') => self.double_quoted()?,
            _ => return self.bare(),
        };
        self.end_of_line("nothing behind the closing quote but a comment")?;
        Ok(value)
    }

    fn single_quoted(&mut self) -> Result<String, Malformed> {
        let inner = &self.rest[1..];
        let line = inner.split('\n').next().unwrap_or(inner);
        let end = line.find('\'').ok_or(UNCLOSED)?;
        self.rest = &inner[end + 1..];
        Ok(inner[..end].to_owned())
    }

    fn double_quoted(&mut self) -> Result<String, Malformed> {
        self.rest = &self.rest[1..];
        let mut value = String::new();
        loop {
            match self.take().ok_or(UNCLOSED)? {
                '"' => return Ok(value),
                '\\' => value.push(self.escaped()?),
                '$' => self.reference(&mut value),
                other => value.push(other),
            }
        }
    }

    fn escaped(&mut self) -> Result<char, Malformed> {
        match self.take().ok_or(UNCLOSED)? {
            kept @ ('"' | '\\' | '$') => Ok(kept),
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            't' => Ok('\t'),
            'f' => Ok('\u{c}'),
            'v' => Ok('\u{b}'),
            _ => Err(Malformed {
                expected: r#"only the escapes \" \\ \$ \n \r \t \f and \v in double quotes"#,
                found: "another one",
            }),
        }
    }

    fn bare(&mut self) -> Result<String, Malformed> {
        let mut value = String::new();
        while let Some(next) = self.rest.chars().next() {
            if next == '#' || next.is_whitespace() {
                break;
            }
            self.take();
            match next {
                '$' => self.reference(&mut value),
                other => value.push(other),
            }
        }
        self.end_of_line("quotes around a value with blanks")?;
        Ok(value)
    }

    /// What follows a `$`: the value of the variable if it is a known `${NAME}`, else the text.
    fn reference(&mut self, value: &mut String) {
        let inside = self
            .rest
            .strip_prefix('{')
            .and_then(|inner| inner.split_once('}'));
        match inside.and_then(|(name, rest)| Some(((self.lookup)(name)?, rest))) {
            Some((found, rest)) => {
                value.push_str(found);
                self.rest = rest;
            }
            None => value.push('$'),
        }
    }

    fn end_of_line(&mut self, expected: &'static str) -> Result<(), Malformed> {
        let line = self.rest.split('\n').next().unwrap_or_default();
        match line.trim_start().chars().next() {
            None | Some('#') => Ok(()),
            Some(_) => Err(Malformed {
                expected,
                found: "more text",
            }),
        }
    }

    fn take(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next();
        self.rest = chars.as_str();
        next
    }
}

const UNCLOSED: Malformed = Malformed {
    expected: "a closing quote",
    found: "none",
};

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_alone(text: &str) -> Vec<Entry> {
        parse(text, &BTreeMap::new())
    }

    fn value(text: &str) -> Result<String, Malformed> {
        let mut entries = parse_alone(text);
        assert_eq!(entries.len(), 1, "{entries:?}");
        entries.remove(0).value
    }

    #[test]
    fn bare_values_end_at_blanks_and_comments() {
        for (text, expected) in [
            ("A=b", "b"),
            ("A = b \r\n", "b"),
            ("A=", ""),
            ("A=   # nothing", ""),
            ("A=b#c", "b"),
            ("A=b # c", "b"),
            ("export A=b", "b"),
            ("\tA=b=c", "b=c"),
            ("A=it's", "it's"),
            ("\u{feff}A=b", "b"),
        ] {
            assert_eq!(value(text).as_deref(), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn dollars_in_secrets_are_kept() {
        for text in ["A=a$b", "A=\"a$b\"", "A='a$b'"] {
            assert_eq!(value(text).as_deref(), Ok("a$b"), "{text:?}");
        }
        assert_eq!(value("A='${B}'").as_deref(), Ok("${B}"));
        assert_eq!(value("A=${UNKNOWN}x").as_deref(), Ok("${UNKNOWN}x"));
        assert_eq!(value("A=${unclosed").as_deref(), Ok("${unclosed"));
    }

    #[test]
    fn quotes_keep_blanks_comments_and_lines() {
        assert_eq!(value("A='b # c' # d").as_deref(), Ok("b # c"));
        assert_eq!(value("A=\"b # c\"").as_deref(), Ok("b # c"));
        assert_eq!(value("A=\"b\nc\"\n").as_deref(), Ok("b\nc"));
        assert_eq!(value(r#"A="\"\\\$\n\t""#).as_deref(), Ok("\"\\$\n\t"));
    }

    #[test]
    fn references_reach_the_environment_and_then_the_lines_above() {
        let environment = BTreeMap::from([("OUTER".to_owned(), "outer".to_owned())]);
        let text = "OUTER=file\nINNER=inner\nA=${OUTER}-${INNER}\nB=\"${A}\"\n";
        let entries = parse(text, &environment);
        assert_eq!(entries[2].value.as_deref(), Ok("outer-inner"));
        assert_eq!(entries[3].value.as_deref(), Ok("outer-inner"));
    }

    #[test]
    fn broken_values_are_distinguished_and_do_not_hide_the_next_line() {
        for broken in ["A=b c", "A='b", "A=\"b", "A='b' c", r#"A="\x""#] {
            let entries = parse_alone(&format!("{broken}\nB=ok\n"));
            assert!(entries[0].value.is_err(), "{broken:?}");
            let last = entries.last().unwrap();
            assert_eq!((last.name.as_str(), last.line), ("B", 2), "{broken:?}");
            assert_eq!(last.value.as_deref(), Ok("ok"), "{broken:?}");
        }
    }

    #[test]
    fn other_lines_are_passed_over_and_lines_are_counted() {
        let text = "# comment=1\n\nno assignment\n=x\nA B=x\nC=\"1\n2\"\nD=3";
        let entries = parse_alone(text);
        let places: Vec<(&str, usize)> = entries
            .iter()
            .map(|entry| (entry.name.as_str(), entry.line))
            .collect();
        assert_eq!(places, [("C", 6), ("D", 8)]);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in ".*(\n.*){0,4}") {
            parse_alone(&text);
        }

        #[test]
        fn what_single_quotes_hold_comes_out(secret in "[^'\n\r]{0,40}") {
            let text = format!("A='{secret}'");
            proptest::prop_assert_eq!(value(&text), Ok(secret));
        }
    }
}
