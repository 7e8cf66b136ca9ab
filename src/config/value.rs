//! Values as people wrote them, before they mean anything.

use toml::de::DeValue;

/// A value as it was given.
pub(super) enum Given<'a> {
    Toml(&'a DeValue<'a>),
    /// By the environment or a flag, where everything is text.
    Text(&'a str),
}

impl Given<'_> {
    /// The text that it is.
    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Toml(DeValue::String(text)) => Some(text),
            Self::Toml(_) => None,
            Self::Text(text) => Some(text),
        }
    }

    /// The number, whole and not negative, that it is or spells.
    pub(super) fn as_whole(&self) -> Option<u64> {
        match self {
            Self::Toml(DeValue::Integer(number)) => {
                u64::from_str_radix(number.as_str(), number.radix()).ok()
            }
            Self::Toml(_) => None,
            Self::Text(text) => text.parse().ok(),
        }
    }

    /// The `true` or `false` that it is or spells.
    pub(super) fn as_switch(&self) -> Option<bool> {
        match self {
            Self::Toml(DeValue::Boolean(value)) => Some(*value),
            Self::Toml(_) => None,
            Self::Text(text) => text.parse().ok(),
        }
    }

    /// How errors name what was found.
    pub(super) fn found(&self) -> String {
        match self {
            Self::Toml(value) => found(value),
            Self::Text(text) => quoted(text),
        }
    }

    /// How errors name what was found where the value must not be shown.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Toml(value) => kind(value),
            Self::Text(_) => "a text",
        }
    }
}

/// A value, short enough for one line.
pub(super) fn found(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => quoted(text),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Boolean(value) => value.to_string(),
        other => kind(other).into(),
    }
}

/// The type of a value; nothing of the value itself.
pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A text, short enough for one line.
pub(super) fn quoted(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}
