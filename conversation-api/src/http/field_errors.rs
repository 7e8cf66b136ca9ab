//! What is wrong with the fields of a request, in the shape that Laravel gives it.

use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};

/// Why fields are refused.
#[derive(Debug, Default)]
pub(super) struct Errors(Vec<(&'static str, String)>);

impl Errors {
    pub(super) fn add(&mut self, field: &'static str, text: String) {
        self.0.push((field, text));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether something is wrong with this field.
    pub(super) fn contains(&self, field: &str) -> bool {
        self.0.iter().any(|(wrong, _)| *wrong == field)
    }
}

/// `{"message": …, "errors": {field: [text]}}`, the message being the first text.
impl Serialize for Errors {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct ByField<'e>(&'e Errors);
        impl Serialize for ByField<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_map(self.0.0.iter().map(|(name, text)| (name, [text])))
            }
        }
        let first = self
            .0
            .first()
            .map(|(_, text)| text.as_str())
            .unwrap_or_default();
        let message = match self.0.len() {
            0 | 1 => first.to_owned(),
            2 => format!("{first} (and 1 more error)"),
            number => format!("{first} (and {} more errors)", number - 1),
        };
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("message", &message)?;
        map.serialize_entry("errors", &ByField(self))?;
        map.end()
    }
}
