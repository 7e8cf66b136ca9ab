//! Laravel's `.env`.
//!
//! Read as Laravel reads it, so that one file serves both: `export`, comments, single and double
//! quotes, and `${NAME}`. A `$` without braces is a dollar sign, as there; libraries that expand it
//! make another password of `pa$$word`. Source: vlucas/phpdotenv 5, `Parser/EntryParser.php` and
//! `Loader/Resolver.php`.

use std::collections::HashMap;
use std::io::{self, Read as _};
use std::iter::Peekable;
use std::path::Path;
use std::str::Chars;

use super::SettingError;

/// The file that is read when none is named.
const DEFAULT: &str = ".env";
/// Bytes of a file.
const LARGEST: u64 = 1024 * 1024;

/// Adds what a file sets and `variables` does not: that of the process counts more. Without a name,
/// it is `.env` of the working folder, if there is one.
pub(super) fn add(
    variables: &mut HashMap<String, String>,
    named: Option<&Path>,
) -> Result<(), SettingError> {
    let path = named.unwrap_or(Path::new(DEFAULT));
    let text = match read(path) {
        Ok(text) => text,
        Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            let name = path.display().to_string();
            return Err(SettingError::new(&name, format!("cannot be read: {error}")));
        }
    };
    let wrong = |mistake: Mistake| {
        let name = format!("{}, line {}", path.display(), mistake.line);
        SettingError::new(&name, mistake.expectation)
    };
    let mut set = HashMap::new();
    for entry in parse(&text).map_err(wrong)? {
        let value = entry.resolve(|name| variables.get(name).or_else(|| set.get(name)));
        set.insert(entry.name, value);
    }
    for (name, value) in set {
        variables.entry(name).or_insert(value);
    }
    Ok(())
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let file = std::fs::File::open(path)?;
    file.take(LARGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST {
        return Err(io::Error::other("it has more than 1 MiB"));
    }
    Ok(text)
}

/// What is wrong, without a word of the file: it is full of secrets.
#[derive(Debug, PartialEq, Eq)]
struct Mistake {
    line: usize,
    expectation: &'static str,
}

/// A variable whose value may refer to others.
struct Entry {
    name: String,
    pieces: Vec<Piece>,
}

/// A part of a value.
enum Piece {
    Text(String),
    /// `${NAME}`
    Reference(String),
}

impl Entry {
    /// The value. What is not known stays as it is written.
    fn resolve<'v>(&self, known: impl Fn(&str) -> Option<&'v String>) -> String {
        let mut value = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => value.push_str(text),
                Piece::Reference(name) => match known(name) {
                    Some(known) => value.push_str(known),
                    None => value.push_str(&format!("${{{name}}}")),
                },
            }
        }
        value
    }
}

fn parse(text: &str) -> Result<Vec<Entry>, Mistake> {
    let mut parser = Parser {
        rest: text.trim_start_matches('\u{feff}').chars().peekable(),
        line: 1,
    };
    let mut entries = Vec::new();
    while let Some(entry) = parser.entry()? {
        entries.push(entry);
    }
    Ok(entries)
}

struct Parser<'t> {
    rest: Peekable<Chars<'t>>,
    line: usize,
}

impl Parser<'_> {
    /// The next variable that is set; `None` at the end.
    fn entry(&mut self) -> Result<Option<Entry>, Mistake> {
        loop {
            self.skip(char::is_whitespace);
            match self.rest.peek() {
                None => return Ok(None),
                Some('#') => self.skip(|character| character != '\n'),
                Some(_) => {
                    if let Some(name) = self.name()? {
                        let pieces = self.value()?;
                        return Ok(Some(Entry { name, pieces }));
                    }
                }
            }
        }
    }

    /// A name and what follows it up to the value; `None` for a line that sets nothing.
    fn name(&mut self) -> Result<Option<String>, Mistake> {
        let mut name = String::new();
        while let Some(character) = self.rest.next_if(|next| !matches!(next, '=' | '\n')) {
            name.push(character);
        }
        let is_set = self.rest.next_if_eq(&'=').is_some();
        let name = name.trim();
        let exported = name
            .strip_prefix("export")
            .filter(|rest| rest.starts_with([' ', '\t']));
        let name = exported.unwrap_or(name).trim();
        let is_part =
            |character: char| character.is_ascii_alphanumeric() || "_.".contains(character);
        if name.is_empty() || !name.chars().all(is_part) {
            return Err(self.mistake("expected NAME=VALUE, a comment or nothing"));
        }
        Ok(is_set.then(|| name.to_owned()))
    }

    fn value(&mut self) -> Result<Vec<Piece>, Mistake> {
        let mut pieces = Vec::new();
        self.skip(is_space);
        match self.rest.peek() {
            Some('\'') => self.single_quoted(&mut pieces)?,
            Some('"') => self.double_quoted(&mut pieces)?,
            _ => self.unquoted(&mut pieces),
        }
        self.skip(is_space);
        match self.rest.peek() {
            Some('#') => self.skip(|character| character != '\n'),
            None | Some('\n') => {}
            Some(_) => return Err(self.mistake("expected quotes around a value with spaces")),
        }
        Ok(pieces)
    }

    fn unquoted(&mut self, pieces: &mut Vec<Piece>) {
        let is_part = |next: &char| !next.is_whitespace() && *next != '#';
        while let Some(character) = self.rest.next_if(is_part) {
            self.add(character, pieces);
        }
    }

    fn single_quoted(&mut self, pieces: &mut Vec<Piece>) -> Result<(), Mistake> {
        let start = self.line;
        self.rest.next();
        loop {
            match self.rest.next() {
                Some('\'') => return Ok(()),
                None | Some('\n') => return Err(unclosed(start)),
                Some(character) => add_text(character, pieces),
            }
        }
    }

    /// May go on over lines, such as a key in PEM.
    fn double_quoted(&mut self, pieces: &mut Vec<Piece>) -> Result<(), Mistake> {
        let start = self.line;
        self.rest.next();
        loop {
            match self.rest.next() {
                Some('"') => return Ok(()),
                None => return Err(unclosed(start)),
                Some('\\') => {
                    let escaped = match self.rest.next() {
                        Some(character @ ('"' | '\\' | '$')) => character,
                        Some('n') => '\n',
                        Some('r') => '\r',
                        Some('t') => '\t',
                        Some('f') => '\u{c}',
                        Some('v') => '\u{b}',
                        _ => {
                            return Err(
                                self.mistake(r#"expected \\, \", \$, \n, \r, \t, \f or \v"#)
                            );
                        }
                    };
                    add_text(escaped, pieces);
                }
                Some(character) => {
                    self.line += usize::from(character == '\n');
                    self.add(character, pieces);
                }
            }
        }
    }

    /// Adds a character, or the reference that it begins.
    fn add(&mut self, character: char, pieces: &mut Vec<Piece>) {
        if character == '$' {
            let mut ahead = self.rest.clone();
            let is_part = |next: &char| next.is_ascii_alphanumeric() || matches!(next, '_' | '.');
            let mut name = String::new();
            if ahead.next_if_eq(&'{').is_some() {
                while let Some(part) = ahead.next_if(is_part) {
                    name.push(part);
                }
                if !name.is_empty() && ahead.next_if_eq(&'}').is_some() {
                    self.rest = ahead;
                    pieces.push(Piece::Reference(name));
                    return;
                }
            }
        }
        add_text(character, pieces);
    }

    fn skip(&mut self, is_skipped: impl Fn(char) -> bool) {
        while let Some(character) = self.rest.next_if(|next| is_skipped(*next)) {
            self.line += usize::from(character == '\n');
        }
    }

    fn mistake(&self, expectation: &'static str) -> Mistake {
        Mistake {
            line: self.line,
            expectation,
        }
    }
}

fn add_text(character: char, pieces: &mut Vec<Piece>) {
    match pieces.last_mut() {
        Some(Piece::Text(text)) => text.push(character),
        _ => pieces.push(Piece::Text(character.into())),
    }
}

fn is_space(character: char) -> bool {
    character.is_whitespace() && character != '\n'
}

fn unclosed(line: usize) -> Mistake {
    Mistake {
        line,
        expectation: "expected the quote at the end of the value",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> Vec<(String, String)> {
        let entries = parse(text).unwrap();
        let values = entries.iter().map(|entry| {
            let known = [("APP".to_owned(), "TIMS".to_owned())];
            let known: HashMap<_, _> = known.into();
            (entry.name.clone(), entry.resolve(|name| known.get(name)))
        });
        values.collect()
    }

    #[test]
    fn values_are_what_laravel_makes_of_them() {
        for (line, expected) in [
            ("A=b", "b"),
            ("A = b ", "b"),
            ("export A=b", "b"),
            ("\texport\tA=b\r", "b"),
            ("A=", ""),
            ("A=  # nothing", ""),
            ("A=b # comment", "b"),
            ("A=b#comment", "b"),
            ("A=\"b # c\" # comment", "b # c"),
            ("A='b # \"c\" \\n $x ${APP}'", "b # \"c\" \\n $x ${APP}"),
            (r#"A="b \"c\" \\ \n|\$x""#, "b \"c\" \\ \n|$x"),
            ("A=\"one\ntwo\"", "one\ntwo"),
            ("A=pa$$word", "pa$$word"),
            ("A=$APP", "$APP"),
            ("A=${APP}", "TIMS"),
            ("A=\"x-${APP}-y\"", "x-TIMS-y"),
            ("A=\"\\${APP}\"", "${APP}"),
            ("A=${UNKNOWN}", "${UNKNOWN}"),
            ("A=${", "${"),
            ("A=b=c", "b=c"),
            ("A=\"\"", ""),
            ("A=ö", "ö"),
        ] {
            assert_eq!(set(line), [("A".into(), expected.into())], "{line}");
        }
        let text = "\u{feff}# first\n\nA=1\r\n B=2\nUNSET\nC='3'";
        let expected = [("A", "1"), ("B", "2"), ("C", "3")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(set(text), expected);
    }

    #[test]
    fn mistakes_are_found_by_their_line_and_give_nothing_away() {
        for (text, line) in [
            ("A=1\nsecret value=1", 2),
            ("A=secret value", 1),
            ("\n\nA='secret\n'", 3),
            ("A=\"secret\n\n", 1),
            ("A=\"\n\nsecret \\q\"", 3),
            ("A='secret'x", 1),
            ("=secret", 1),
            ("A=${secret b}", 1),
        ] {
            let mistake = parse(text).err().unwrap();
            assert_eq!(mistake.line, line, "{text}");
            assert!(!mistake.expectation.contains("secret"));
        }
    }
}
