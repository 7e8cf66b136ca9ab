//! Apps, and the configuration file of a server that a test starts.

use toml::{Table, Value};

use crate::sign;

/// A port of loopback that the system chooses.
pub(crate) const ANY_PORT: &str = "127.0.0.1:0";

/// An app's credentials: all that a test knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// The id in the HTTP API's paths.
    pub id: String,
    /// The public key in the WebSocket URL and in signatures.
    pub key: String,
    /// The secret that signs.
    pub secret: String,
}

impl App {
    /// The same app with another key pair, as for key rotation.
    pub fn with_pair(&self, key: &str, secret: &str) -> App {
        App {
            id: self.id.clone(),
            key: key.to_owned(),
            secret: secret.to_owned(),
        }
    }

    /// The `auth` of a subscription; see [`sign::channel_auth`].
    pub fn channel_auth(
        &self,
        socket_id: &str,
        channel: &str,
        channel_data: Option<&str>,
    ) -> String {
        sign::channel_auth(&self.key, &self.secret, socket_id, channel, channel_data)
    }

    /// The `auth` of a sign-in; see [`sign::user_auth`].
    pub fn user_auth(&self, socket_id: &str, user_data: &str) -> String {
        sign::user_auth(&self.key, &self.secret, socket_id, user_data)
    }
}

/// One `[[apps]]` entry of a generated configuration.
#[derive(Clone, Debug)]
pub struct AppConfig {
    table: Table,
}

impl AppConfig {
    /// An app with id `id`, key `key-{id}` and secret `secret-{id}`, and every setting at its default.
    pub fn new(id: &str) -> AppConfig {
        let mut table = Table::new();
        set(&mut table, "id", id.into());
        set(&mut table, "key", format!("key-{id}").into());
        set(&mut table, "secret", format!("secret-{id}").into());
        AppConfig { table }
    }

    /// The app that is served where none is configured.
    pub(crate) fn development() -> AppConfig {
        let mut table = Table::new();
        for key in ["id", "key", "secret"] {
            set(&mut table, key, "local".into());
        }
        AppConfig { table }
    }

    /// Sets a key of the entry. Dots go down: `limits.max_connections`.
    pub fn set(mut self, key: &str, value: impl Into<Value>) -> AppConfig {
        set(&mut self.table, key, value.into());
        self
    }

    /// Leaves a key of the entry out.
    pub fn without(mut self, key: &str) -> AppConfig {
        self.table.remove(key);
        self
    }

    /// Sets a key of the entry's `limits`.
    pub fn limit(self, key: &str, value: impl Into<Value>) -> AppConfig {
        self.set(&format!("limits.{key}"), value)
    }

    /// Adds a pair to `extra_keys`.
    pub fn extra_key(mut self, key: &str, secret: &str) -> AppConfig {
        let mut pair = Table::new();
        set(&mut pair, "key", key.into());
        set(&mut pair, "secret", secret.into());
        self.table
            .entry("extra_keys")
            .or_insert_with(|| Value::Array(Vec::new()))
            .as_array_mut()
            .expect("extra_keys is only ever set as an array")
            .push(Value::Table(pair));
        self
    }

    /// Adds a webhook.
    pub fn webhook(mut self, webhook: WebhookConfig) -> AppConfig {
        self.table
            .entry("webhooks")
            .or_insert_with(|| Value::Array(Vec::new()))
            .as_array_mut()
            .expect("webhooks are only ever set as an array")
            .push(Value::Table(webhook.table));
        self
    }

    /// What it sets beyond its credentials, as TOML in one line.
    pub(crate) fn settings(&self) -> String {
        let of_every_app = ["id", "key", "secret"];
        let settings = self
            .table
            .iter()
            .filter(|(key, _)| !of_every_app.contains(&key.as_str()));
        let settings: Vec<String> = settings
            .map(|(key, value)| format!("{key} = {value}"))
            .collect();
        settings.join(", ")
    }

    /// The credentials of the entry's first pair.
    pub fn app(&self) -> App {
        let text = |key| match self.table.get(key) {
            Some(Value::String(text)) => text.clone(),
            other => panic!("the app's {key} is {other:?}, not a string"),
        };
        App {
            id: text("id"),
            key: text("key"),
            secret: text("secret"),
        }
    }
}

/// One `[[apps.webhooks]]` entry of a generated configuration.
#[derive(Clone, Debug)]
pub struct WebhookConfig {
    table: Table,
}

impl WebhookConfig {
    /// A webhook at `url` that takes these events, and every other setting at its default.
    pub fn new(url: &str, events: &[&str]) -> WebhookConfig {
        let mut table = Table::new();
        set(&mut table, "url", url.into());
        set(&mut table, "events", events.to_vec().into());
        WebhookConfig { table }
    }

    /// Sets a key of the entry. Dots go down: `headers.X-Env`.
    pub fn set(mut self, key: &str, value: impl Into<Value>) -> WebhookConfig {
        set(&mut self.table, key, value.into());
        self
    }
}

/// The configuration file of a server that a test starts: free ports on loopback, JSON logs, and what a test sets.
#[derive(Clone, Debug)]
pub(crate) struct ServerConfig {
    table: Table,
    pub(crate) apps: Vec<AppConfig>,
    /// The limit on open files, where it is not that of the tests.
    pub(crate) open_files: Option<u64>,
    /// Variables of the process's environment.
    pub(crate) variables: Vec<(String, String)>,
    /// The apps are not written down: the server is to serve its development app.
    pub(crate) names_no_apps: bool,
}

impl ServerConfig {
    pub(crate) fn new() -> ServerConfig {
        let mut config = ServerConfig {
            table: Table::new(),
            apps: Vec::new(),
            open_files: None,
            variables: Vec::new(),
            names_no_apps: false,
        };
        config.set("server.listen", ANY_PORT.into());
        config.set("admin.listen", ANY_PORT.into());
        config.set("log.format", "json".into());
        config.set("log.level", "info".into());
        config
    }

    pub(crate) fn set(&mut self, key: &str, value: Value) {
        set(&mut self.table, key, value);
    }

    /// A setting as text, where a test has set one.
    pub(crate) fn text(&self, section: &str, key: &str) -> Option<&str> {
        self.table.get(section)?.get(key)?.as_str()
    }

    pub(crate) fn to_toml(&self) -> String {
        let mut table = self.table.clone();
        if self.names_no_apps {
            return table.to_string();
        }
        let apps = self.apps.iter().map(|app| Value::Table(app.table.clone()));
        table.insert("apps".to_owned(), Value::Array(apps.collect()));
        table.to_string()
    }
}

fn set(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
        }
        Some((first, rest)) => {
            let inner = table
                .entry(first)
                .or_insert_with(|| Value::Table(Table::new()));
            match inner {
                Value::Table(inner) => set(inner, rest, value),
                other => panic!("{first} is {other}, so {rest} cannot be set in it"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dotted_keys_become_nested_tables() {
        let mut config = ServerConfig::new();
        config.apps.push(
            AppConfig::new("7")
                .set("client_events", false)
                .limit("max_connections", 2)
                .extra_key("old", "older")
                .webhook(
                    WebhookConfig::new("http://127.0.0.1:1/", &["cache_miss"])
                        .set("filter.channel_prefix", "cache-"),
                ),
        );
        let parsed: Table = config.to_toml().parse().unwrap();
        assert_eq!(parsed["server"]["listen"].as_str(), Some("127.0.0.1:0"));
        let app = &parsed["apps"][0];
        assert_eq!(app["client_events"].as_bool(), Some(false));
        assert_eq!(app["limits"]["max_connections"].as_integer(), Some(2));
        assert_eq!(app["extra_keys"][0]["secret"].as_str(), Some("older"));
        let webhook = &app["webhooks"][0];
        assert_eq!(webhook["events"][0].as_str(), Some("cache_miss"));
        assert_eq!(webhook["filter"]["channel_prefix"].as_str(), Some("cache-"));
        assert_eq!(config.apps[0].app().secret, "secret-7");
        let settings = config.apps[0].settings();
        assert!(settings.contains("client_events = false"), "{settings}");
        assert!(!settings.contains("secret-7"), "{settings}");
    }
}
