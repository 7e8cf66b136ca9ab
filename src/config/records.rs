//! Apps that come from elsewhere than the file, by the rules of the file.

use serde_json::{Map, Value};
use toml::de::DeTable;

use super::overrides::Overrides;
use super::read;
use super::references::Resolved;
use super::section::{Layers, Section};
use super::{Config, ConfigError, keys};
use crate::apps::App;
use crate::webhooks;

/// Characters of what is wrong that are shown.
const SHOWN: usize = 500;

/// Reads apps whose settings are as `[[apps]]` of the file has them. They name no files and no variables: whoever
/// writes a database is not the one who runs this process.
#[derive(Clone, Debug)]
pub struct Records {
    webhooks: webhooks::Settings,
    /// Whether a secret may be that of the development app: nobody but this machine reaches the listeners.
    may_be_known: bool,
}

impl Records {
    /// What holds for all apps is as in the configuration.
    pub fn new(config: &Config) -> Self {
        let public = &config.server.listen;
        let admin = config.admin.listen.as_ref();
        let tls = config.tls.listen.as_ref();
        Self {
            webhooks: config.webhooks.clone(),
            may_be_known: public.iter().all(|listener| listener.at.is_loopback())
                && admin.is_none_or(super::Listen::is_loopback)
                && tls.is_none_or(super::Address::is_loopback),
        }
    }

    /// Reads an app.
    ///
    /// # Errors
    /// What is wrong with it: one line that names the key and what is expected there, and no secret.
    pub fn read(&self, settings: &Map<String, Value>) -> Result<App, String> {
        let text = document(settings);
        let table = DeTable::parse(&text)
            .map_err(|_| "expected texts without control characters, and fewer levels".to_owned())?
            .into_inner();
        let overrides = Overrides::default();
        let layers = Layers {
            file: None,
            resolved: &Resolved::default(),
            overrides: &overrides,
        };
        let app = Section::root(&layers, Some(&table), keys::APP_RECORD)
            .and_then(|section| read::apps::record(&section, &self.webhooks))
            .map_err(|error| sentence(&error))?;
        if app.secret_is_known && !self.may_be_known {
            let expected = "secret: expected another one than `local`, which everybody knows, where other machines \
                            may connect";
            return Err(expected.into());
        }
        Ok(app)
    }
}

/// What is wrong, without the place: there is no file.
fn sentence(error: &ConfigError) -> String {
    let whole = match error {
        ConfigError::UnknownKey { key, hint, .. } => format!("{key}: unknown key; {hint}"),
        ConfigError::Missing { key, expected, .. } => {
            format!("{key}: missing; expected {expected}")
        }
        ConfigError::Invalid {
            key,
            expected,
            found,
            ..
        } => format!("{key}: expected {expected}, found {found}"),
        ConfigError::Unreadable { .. } | ConfigError::Syntax { .. } => error.to_string(),
    };
    whole.chars().take(SHOWN).collect()
}

/// The settings as a document in TOML. What is null is as if it were not there.
fn document(settings: &Map<String, Value>) -> String {
    let mut text = String::new();
    for (key, value) in settings {
        if !value.is_null() {
            push_text(&mut text, key);
            text.push_str(" = ");
            push(&mut text, value);
            text.push('\n');
        }
    }
    text
}

fn push(text: &mut String, value: &Value) {
    match value {
        Value::Null => text.push_str("\"\""),
        Value::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => text.push_str(&number.to_string()),
        Value::String(value) => push_text(text, value),
        Value::Array(items) => {
            text.push('[');
            for item in items {
                push(text, item);
                text.push(',');
            }
            text.push(']');
        }
        Value::Object(table) => {
            text.push('{');
            let mut is_first = true;
            for (key, value) in table {
                if value.is_null() {
                    continue;
                }
                if !std::mem::take(&mut is_first) {
                    text.push(',');
                }
                push_text(text, key);
                text.push_str(" = ");
                push(text, value);
            }
            text.push('}');
        }
    }
}

/// A text in quotes: what JSON escapes TOML does, too, and in the same way.
fn push_text(text: &mut String, value: &str) {
    let quoted = Value::String(value.to_owned()).to_string();
    text.push_str(&quoted.replace('\u{7f}', "\\u007f"));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::apps::Limits;
    use crate::config::{Sources, load};

    fn records(listen: &str) -> Records {
        let sources = Sources {
            directory: "/nonexistent".into(),
            environment: [
                ("FANFARE_SERVER__LISTEN", listen),
                ("PUSHER_APP_ID", "1"),
                ("PUSHER_APP_KEY", "k"),
                ("PUSHER_APP_SECRET", "s"),
                ("SECRET", "of the environment"),
            ]
            .map(|(name, value)| (name.into(), value.into()))
            .into(),
            ..Sources::default()
        };
        Records::new(&load(&sources).unwrap().config)
    }

    fn read(settings: &Value) -> Result<App, String> {
        records("127.0.0.1:0").read(settings.as_object().unwrap())
    }

    #[test]
    fn a_record_is_read_as_the_file_is() {
        let app = read(&json!({
            "id": "1", "key": "k", "secret": "s\"\u{e4}\\", "enabled": false,
            "extra_keys": [{"key": "old", "secret": "older"}],
            "allowed_origins": ["*.example.com"], "watchlist": null,
            "limits": {"max_connections": 7, "cache_ttl": null},
            "webhooks": [{
                "url": "https://example.com/hook", "events": ["cache_miss"],
                "headers": {"X-Env": "prod"}, "filter": {"channel_prefix": "cache-"},
            }],
        }))
        .unwrap();
        assert!(!app.enabled && !app.watchlist);
        assert_eq!(app.keys.len(), 2);
        assert_eq!(app.limits.max_connections, Some(7));
        assert_eq!(app.limits.cache_ttl, Limits::default().cache_ttl);
        assert_eq!(&*app.webhooks[0].filter.prefix, "cache-");
    }

    #[test]
    fn what_is_wrong_is_named_without_secrets() {
        for (settings, expected) in [
            (json!({"id": "1"}), "key: missing"),
            (
                json!({"id": "a/b", "key": "k", "secret": "s"}),
                "id: expected a text",
            ),
            (
                json!({"id": "1", "key": "k\n", "secret": "s"}),
                "key: expected a text",
            ),
            (
                json!({"id": "1", "key": "k", "secret": " s3cr3t"}),
                "secret: expected a text",
            ),
            (
                json!({"id": "1", "key": "k", "secret": 5}),
                "secret: expected a text",
            ),
            (
                json!({"id": "1", "key": "k", "secret": "s", "limit": {}}),
                "limit: unknown key; did you mean `limits`?",
            ),
            (
                json!({"id": "1", "key": "k", "secret": "s", "limits": {"max_connections": -1}}),
                "limits.max_connections: expected a whole number",
            ),
            (
                json!({"id": "1", "key": "k", "secret": "s", "limits": {"max_connections": 1.5}}),
                "limits.max_connections: expected a whole number",
            ),
            (
                json!({"id": "1", "key": "k", "secret": "s", "webhooks": [{"url": "ftp://a"}]}),
                "webhooks[0].url: expected a URL",
            ),
            (
                json!({"id": "1", "key": "k", "secret_file": "/etc/passwd"}),
                "secret_file: unknown key",
            ),
            (
                json!({"id": "1", "key": "k", "secret": "s",
                       "extra_keys": [{"key": "l", "secret_file": "/etc/passwd"}]}),
                "extra_keys[0].secret_file: unknown key",
            ),
        ] {
            let error = read(&settings).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
            assert!(!error.contains("s3cr3t"), "{error}");
        }
    }

    #[test]
    fn a_record_takes_nothing_from_the_environment() {
        let app = read(&json!({"id": "1", "key": "k", "secret": "${SECRET}"})).unwrap();
        let alike = App::new("1", crate::auth::Signer::new("k", b"${SECRET}"));
        assert_eq!(app.keys, alike.keys);
    }

    #[test]
    fn a_secret_that_everybody_knows_is_for_this_machine_alone() {
        let app = json!({"id": "1", "key": "k", "secret": "local"});
        let app = app.as_object().unwrap();
        assert!(records("127.0.0.1:0").read(app).unwrap().secret_is_known);
        assert!(records("0.0.0.0:0").read(app).is_err());
    }

    #[test]
    fn errors_are_short_whatever_is_in_the_record() {
        let long = "x".repeat(100_000);
        for settings in [json!({ &*long: 1 }), json!({ "id": long })] {
            assert!(read(&settings).unwrap_err().len() < 4 * SHOWN);
        }
    }
}
