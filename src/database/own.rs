//! Fanfare's own table.
//!
//! Columns are what a database has to know of an app, and what people look for: id, key, secret, whether it is
//! enabled. All else is one text, the JSON of what `[[apps]]` of the file has under the same names: it is read by the
//! same rules, and a setting that comes with a later version needs no other column.

use serde_json::error::Category;
use serde_json::{Map, Value};

use super::statements::text;

/// The columns, in the order in which they are read.
pub(super) const COLUMNS: [&str; 5] = ["id", "app_key", "secret", "enabled", "settings"];

/// Settings that have a column each.
const IN_COLUMNS: [&str; 4] = ["id", "key", "secret", "enabled"];

/// An app as it is kept.
pub(super) struct Row {
    pub(super) id: String,
    pub(super) key: String,
    pub(super) secret: String,
    pub(super) enabled: bool,
    pub(super) settings: String,
}

/// The app's settings as the file would have them, of columns that were read as bytes.
pub(super) fn read(columns: &[Option<&[u8]>]) -> Result<Map<String, Value>, String> {
    let named = COLUMNS.iter().zip(columns);
    let texts = named.map(|(name, value)| text(name, *value));
    settings(&texts.collect::<Result<Vec<_>, _>>()?)
}

/// What can be shown of a row that cannot be read: its id, its key, and whether it is enabled.
pub(super) fn remains(columns: &[Option<&[u8]>]) -> Map<String, Value> {
    let text = |at: usize| {
        let bytes = columns.get(at).copied().flatten();
        bytes.map(String::from_utf8_lossy)
    };
    let mut settings = Map::new();
    for (name, at) in [("id", 0), ("key", 1)] {
        if let Some(text) = text(at) {
            settings.insert(name.into(), text.into());
        }
    }
    let is_enabled = text(3).is_none_or(|text| is_on(&text));
    settings.insert("enabled".into(), is_enabled.into());
    settings
}

/// The app's settings as the file would have them.
pub(super) fn settings(columns: &[Option<&str>]) -> Result<Map<String, Value>, String> {
    let [id, key, secret, enabled, rest] = columns else {
        return Err("another number of columns".into());
    };
    let rest = rest.unwrap_or_default().trim();
    let mut settings = match rest {
        "" => Map::new(),
        rest => serde_json::from_str(rest)
            .map_err(|error| format!("settings: expected an object in JSON, {}", found(&error)))?,
    };
    if let Some(twice) = IN_COLUMNS.iter().find(|name| settings.contains_key(**name)) {
        return Err(format!("settings: `{twice}` is a column of its own"));
    }
    for (name, value) in [("id", id), ("key", key), ("secret", secret)] {
        if let Some(value) = value {
            settings.insert(name.into(), (*value).into());
        }
    }
    let is_enabled = enabled.is_none_or(is_on);
    settings.insert("enabled".into(), is_enabled.into());
    Ok(settings)
}

/// What is wrong with a text, without anything of it: it may be a secret.
fn found(error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    let what = match error.classify() {
        Category::Syntax => "a mistake",
        Category::Eof => "the end of the text",
        Category::Data | Category::Io => "something else",
    };
    format!("found {what} at line {line}, column {column}")
}

/// What an app's settings are kept as; they were found to be right.
pub(super) fn row(mut settings: Map<String, Value>) -> Row {
    let mut text = |name: &str| match settings.remove(name) {
        Some(Value::String(text)) => text,
        _ => String::new(),
    };
    let (id, key, secret) = (text("id"), text("key"), text("secret"));
    let enabled = settings.remove("enabled") != Some(Value::Bool(false));
    let settings = Value::Object(settings).to_string();
    Row {
        id,
        key,
        secret,
        enabled,
        settings,
    }
}

/// A switch as databases print it.
pub(super) fn is_on(text: &str) -> bool {
    !matches!(text, "0" | "f" | "false" | "")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_kept_is_read_again() {
        let app = json!({
            "id": "1", "key": "k", "secret": "s", "enabled": false,
            "limits": { "max_connections": 3 }, "allowed_origins": ["a.example"],
        });
        let Value::Object(app) = app else {
            unreachable!("it is an object")
        };
        let row = row(app.clone());
        let enabled = if row.enabled { "1" } else { "0" };
        let columns = [&*row.id, &row.key, &row.secret, enabled, &row.settings].map(Some);
        assert_eq!(settings(&columns).unwrap(), app);
    }

    #[test]
    fn columns_are_not_given_a_second_time_and_the_rest_is_an_object() {
        let of = |rest: &'static str| settings(&["1", "k", "s", "1", rest].map(Some));
        assert!(of("").is_ok() && of("{}").is_ok());
        for rest in [r#"{"secret":"x"}"#, r#"{"enabled":true}"#, "[]", "{", "7"] {
            assert!(of(rest).is_err(), "{rest}");
        }
    }

    #[test]
    fn what_is_wrong_with_the_rest_is_named_without_anything_of_it() {
        let of = |rest: &'static str| settings(&["1", "k", "s", "1", rest].map(Some));
        for (rest, expected) in [
            (r#""s3cr3t""#, "found something else at line 1"),
            (
                r#"{"extra_keys"; "s3cr3t"}"#,
                "found a mistake at line 1, column 14",
            ),
            ("{\"a\":\n\"s3cr3t\"", "found the end of the text at line 2"),
        ] {
            let error = of(rest).unwrap_err();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("s3cr3t"), "{error}");
        }
    }
}
