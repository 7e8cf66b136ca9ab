//! The templates that agents may send: texts that Meta has approved, with places to fill in.

use std::sync::Arc;

use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Serialize, Serializer};

/// Places that a template has at most.
const MOST_PARAMETERS: usize = 20;

/// A file of templates that makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTemplates {
    /// It is not JSON, or not of this shape.
    #[error("expected a list of {{\"name\", \"language\", \"body\"}}: {0}")]
    Shape(#[from] serde_json::Error),
    /// A body's places are not `{{1}}`, `{{2}}` and so on.
    #[error(
        "expected {{{{1}}}} to {{{{{MOST_PARAMETERS}}}}} at most, none left out, in the body of {0:?}"
    )]
    Places(String),
    /// Two have one name and language.
    #[error("expected each template once, and {0:?} is there twice in a language")]
    Twice(String),
}

/// The templates that there are. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Templates(Arc<Vec<KnownTemplate>>);

/// A template, as Meta has approved it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct KnownTemplate {
    /// Its name at Meta.
    pub name: String,
    /// Its language at Meta, such as `de` or `en_US`.
    pub language: String,
    /// Its text, in which `{{1}}`, `{{2}}` and so on are filled in.
    pub body: String,
}

impl Templates {
    /// Reads a list of templates in JSON.
    pub fn parse(json: &[u8]) -> Result<Self, InvalidTemplates> {
        let templates: Vec<KnownTemplate> = serde_json::from_slice(json)?;
        for (number, template) in templates.iter().enumerate() {
            let places = template.parameters();
            let all_there = (1..=places).all(|place| template.body.contains(&written(place)));
            if places > MOST_PARAMETERS || !all_there {
                return Err(InvalidTemplates::Places(template.name.clone()));
            }
            let is_same = |other: &KnownTemplate| {
                (&other.name, &other.language) == (&template.name, &template.language)
            };
            if templates[..number].iter().any(is_same) {
                return Err(InvalidTemplates::Twice(template.name.clone()));
            }
        }
        Ok(Self(Arc::new(templates)))
    }

    /// All of them.
    pub fn all(&self) -> &[KnownTemplate] {
        &self.0
    }

    /// The one of this name and language.
    pub fn find(&self, name: &str, language: &str) -> Option<&KnownTemplate> {
        let is_it = |known: &&KnownTemplate| known.name == name && known.language == language;
        self.0.iter().find(is_it)
    }
}

impl KnownTemplate {
    /// How many places there are to fill in.
    pub fn parameters(&self) -> usize {
        pieces(&self.body)
            .filter_map(|piece| match piece {
                Piece::Place(number) => Some(number),
                Piece::Text(_) => None,
            })
            .max()
            .unwrap_or(0)
    }

    /// The text with its places filled in. What fills one is not looked at for places.
    pub fn filled_in(&self, parameters: &[String]) -> String {
        let filled = |piece| match piece {
            Piece::Text(text) => text,
            Piece::Place(number) => parameters.get(number - 1).map_or("", String::as_str),
        };
        pieces(&self.body).map(filled).collect()
    }
}

/// With the number of parameters.
impl Serialize for KnownTemplate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut template = serializer.serialize_struct("Template", 4)?;
        template.serialize_field("name", &self.name)?;
        template.serialize_field("language", &self.language)?;
        template.serialize_field("body", &self.body)?;
        template.serialize_field("parameters", &self.parameters())?;
        template.end()
    }
}

/// A part of a body.
#[derive(Clone, Copy, Debug)]
enum Piece<'b> {
    Text(&'b str),
    /// Counted from 1.
    Place(usize),
}

fn pieces(body: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = body;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let place = |begin: usize| {
            let inside = &rest[begin..].strip_prefix("{{")?;
            let (digits, after) = inside.split_once("}}")?;
            let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
            let number: usize = digits.parse().ok().filter(|_| is_number)?;
            (number > 0).then_some((number, after))
        };
        if let Some((number, after)) = place(0) {
            rest = after;
            return Some(Piece::Place(number));
        }
        let end = rest
            .char_indices()
            .map(|(begin, _)| begin)
            .skip(1)
            .find(|begin| place(*begin).is_some());
        let (text, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after;
        Some(Piece::Text(text))
    })
}

fn written(place: usize) -> String {
    format!("{{{{{place}}}}}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn template(body: &str) -> KnownTemplate {
        KnownTemplate {
            name: "order".into(),
            language: "de".into(),
            body: body.into(),
        }
    }

    #[test]
    fn places_are_filled_in_once() {
        let hello = template("{{2}}: {{x}} {{ Hallo {{1}}, {{1}}!");
        assert_eq!(hello.parameters(), 2);
        let parameters = ["{{2}}".to_owned(), "TIMS".to_owned()];
        assert_eq!(
            hello.filled_in(&parameters),
            "TIMS: {{x}} {{ Hallo {{2}}, {{2}}!"
        );
        assert_eq!(template("{{{1}}}").filled_in(&["a".into()]), "{a}");
        assert_eq!(template("").filled_in(&[]), "");
        assert_eq!(json!(hello)["parameters"], 2);
    }

    #[test]
    fn mistakes_in_the_file_are_named() {
        let parse = |value: serde_json::Value| Templates::parse(value.to_string().as_bytes());
        let one = json!({"name": "order", "language": "de", "body": "Hallo {{1}}"});
        let templates = parse(json!([one])).unwrap();
        assert!(templates.find("order", "de").is_some());
        assert!(templates.find("order", "en").is_none());
        for (wrong, expected) in [
            (
                json!({}),
                "expected a list of {\"name\", \"language\", \"body\"}",
            ),
            (json!([{"name": "order"}]), "expected a list of"),
            (json!([one, one]), "expected each template once"),
            (
                json!([{"name": "order", "language": "de", "body": "{{2}}"}]),
                "expected {{1}} to {{20}} at most, none left out, in the body of \"order\"",
            ),
            (
                json!([{"name": "order", "language": "de", "body": "{{99999999999}}"}]),
                "expected {{1}}",
            ),
        ] {
            let error = parse(wrong).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
