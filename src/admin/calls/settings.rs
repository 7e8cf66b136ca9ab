//! Apps that are made, changed and removed: those of the database. Apps of the configuration are changed there.

use serde_json::{Map, Value, json};

use super::super::query::Query;
use super::super::refusal::Refusal;
use super::super::routes::Found;
use crate::apps::WebhookUrl;
use crate::database::{Problem, Store, StoreError, Stored};
use crate::relay::Relay;

/// What a change of an app may not name, and what to do instead.
const FIXED: [(&str, &str); 3] = [
    ("id", "an app keeps its id"),
    ("key", "POST …/rotate gives an app another key pair"),
    ("secret", "POST …/rotate gives an app another key pair"),
];

/// Settings that are columns of their own, and no secrets.
const HARMLESS: [&str; 3] = ["id", "key", "enabled"];

/// Hexadecimal digits of keys and secrets that are made here.
const KEY_BYTES: usize = 10;
const SECRET_BYTES: usize = 32;

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let text = error.to_string();
        match error {
            StoreError::NotFound => Self::NotFound(text),
            StoreError::AlreadyExists(_)
            | StoreError::Conflict
            | StoreError::NotShared
            | StoreError::ReadOnly
            | StoreError::Unreadable(_) => Self::Conflict(text),
            StoreError::Invalid(_) => match key_in(&text) {
                Some(key) => Self::Setting {
                    key: key.to_owned(),
                    text,
                },
                None => Self::Invalid(text),
            },
            StoreError::Unavailable(_) => Self::Away(text),
        }
    }
}

/// The apps of the database as they are kept, served or not.
pub(in crate::admin) async fn list(store: &Store, query: &Query) -> Result<Value, Refusal> {
    let (after, most) = (query.text("after"), query.number("limit"));
    let apps = store.list(after.unwrap_or_default(), most).await?;
    let last = apps.last().filter(|_| apps.len() == most);
    let next = last.and_then(|last| last.settings.get("id").cloned());
    let apps: Vec<Value> = apps.into_iter().map(without_secrets).collect();
    Ok(json!({ "apps": apps, "next": next }))
}

/// Makes an app. What of its id, key and secret is not given is made.
pub(in crate::admin) async fn create(store: &Store, body: &[u8]) -> Result<Value, Refusal> {
    let mut settings = object(body)?;
    let mut fill = |name: &str, value: fn() -> String| {
        settings.entry(name).or_insert_with(|| value().into());
    };
    fill("id", || {
        (1_000_000 + rand::random::<u64>() % 9_000_000_000).to_string()
    });
    fill("key", new_key);
    fill("secret", new_secret);
    let stored = store.create(settings).await?;
    let app = stored.settings.get("id").and_then(Value::as_str);
    tracing::info!(app, "the admin API has made an app");
    Ok(with_secrets(&stored))
}

/// Gives an app other settings: those that are named. One that is null goes back to its default.
pub(in crate::admin) async fn change(
    relay: &Relay,
    store: &Store,
    found: &Found<'_>,
    body: &[u8],
) -> Result<Value, Refusal> {
    let changes = object(body)?;
    for (name, instead) in FIXED {
        if changes.contains_key(name) {
            return Err(Refusal::Setting {
                key: name.to_owned(),
                text: format!("{name} cannot be changed: {instead}"),
            });
        }
    }
    let stored = stored(relay, store, found).await?;
    // Their values may be secrets.
    let names: Vec<&str> = changes.keys().map(String::as_str).collect();
    let names = names.join(", ");
    let app = found.value("app");
    let changed = match (&stored.problem, enabled_alone(&changes)) {
        (Some(Problem::Unreadable(_)), Some(enabled)) => {
            store.enable(app, enabled, stored.version).await?
        }
        _ => {
            let (version, mut settings) = stored.whole()?;
            merge(&mut settings, changes);
            store.update(app, settings, version).await?
        }
    };
    tracing::info!(app, settings = names, "the admin API has changed an app");
    Ok(without_secrets(changed))
}

pub(in crate::admin) async fn remove(
    relay: &Relay,
    store: &Store,
    found: &Found<'_>,
    query: &Query,
) -> Result<(), Refusal> {
    let id = found.value("app");
    let Stored { version, .. } = if query.switch("database") {
        store.get(id).await?
    } else {
        stored(relay, store, found).await?
    };
    Ok(store.delete(id, Some(version)).await?)
}

/// Gives an app another key pair. The old one is accepted until it is removed.
pub(in crate::admin) async fn rotate(
    relay: &Relay,
    store: &Store,
    found: &Found<'_>,
) -> Result<Value, Refusal> {
    let Stored { version, .. } = stored(relay, store, found).await?;
    let id = found.value("app");
    let rotated = store.rotate(id, &new_key(), &new_secret(), version).await?;
    Ok(with_secrets(&rotated))
}

/// Accepts one of an app's key pairs no more, other than the one that signs.
pub(in crate::admin) async fn remove_key(
    relay: &Relay,
    store: &Store,
    found: &Found<'_>,
) -> Result<(), Refusal> {
    let (version, mut settings) = stored(relay, store, found).await?.whole()?;
    let key = found.value("key");
    if settings.get("key").and_then(Value::as_str) == Some(key) {
        let message =
            "this is the key pair that signs: POST …/rotate gives the app another one first";
        return Err(Refusal::Conflict(message.into()));
    }
    let mut is_there = false;
    if let Some(Value::Array(pairs)) = settings.get_mut("extra_keys") {
        let before = pairs.len();
        pairs.retain(|pair| pair["key"].as_str() != Some(key));
        is_there = pairs.len() < before;
    }
    if !is_there {
        return Err(Refusal::NotFound(format!("the app has no key {key:?}")));
    }
    store.update(found.value("app"), settings, version).await?;
    Ok(())
}

/// An app's key pairs with their secrets, that which signs first, and its webhooks with their whole addresses and headers.
pub(in crate::admin) async fn secrets(
    relay: &Relay,
    store: &Store,
    found: &Found<'_>,
) -> Result<(Value, Value), Refusal> {
    let (_, settings) = stored(relay, store, found).await?.whole()?;
    let pair =
        |pair: &Map<String, Value>| json!({ "key": pair.get("key"), "secret": pair.get("secret") });
    let others = settings.get("extra_keys").and_then(Value::as_array);
    let others = others.into_iter().flatten().filter_map(Value::as_object);
    let keys = std::iter::once(&settings).chain(others).map(pair).collect();
    let webhooks = settings.get("webhooks").cloned();
    Ok((keys, webhooks.unwrap_or_else(|| json!([]))))
}

/// The app that the path names, as it is kept.
async fn stored(relay: &Relay, store: &Store, found: &Found<'_>) -> Result<Stored, Refusal> {
    let id = found.value("app");
    let kept = store.get(id).await;
    if !relay.hub.apps().is_configured(id) {
        return match kept {
            Err(StoreError::NotFound) => {
                Err(Refusal::NotFound(format!("no app has the id {id:?}")))
            }
            kept => Ok(kept?),
        };
    }
    let hidden = match kept {
        Ok(_) => {
            "; the database has one with this id, too, which is not served, and which DELETE /api/apps/…?database=true \
             removes"
        }
        Err(_) => "",
    };
    let message = format!(
        "the app {id:?} is one of the configuration: it is changed there, and its secrets are there{hidden}"
    );
    Err(Refusal::Conflict(message))
}

fn with_secrets(stored: &Stored) -> Value {
    json!({
        "version": stored.version,
        "problem": stored.problem.as_ref().map(ToString::to_string),
        "settings": stored.settings,
    })
}

fn without_secrets(mut stored: Stored) -> Value {
    stored.settings.remove("secret");
    if !stored.is_fit() {
        // Under a name with a slip, or in another form than is expected, anything may be a secret.
        for (name, value) in &mut stored.settings {
            if !HARMLESS.contains(&name.as_str()) {
                *value = Value::Null;
            }
        }
    }
    if let Some(Value::Array(pairs)) = stored.settings.get_mut("extra_keys") {
        for pair in pairs.iter_mut().filter_map(Value::as_object_mut) {
            pair.remove("secret");
        }
    }
    if let Some(Value::Array(webhooks)) = stored.settings.get_mut("webhooks") {
        webhooks.iter_mut().for_each(hide);
    }
    with_secrets(&stored)
}

/// Leaves of a webhook's address scheme, host and port, and of its headers their names: the rest may be secret.
fn hide(webhook: &mut Value) {
    if let Some(url) = webhook.get_mut("url") {
        let parsed = url.as_str().and_then(|text| WebhookUrl::parse(text).ok());
        *url = parsed.map_or(Value::Null, |url| url.to_string().into());
    }
    if let Some(headers) = webhook.get_mut("headers").and_then(Value::as_object_mut) {
        headers.values_mut().for_each(|value| *value = Value::Null);
    }
}

/// Which setting a sentence is about: those about one begin with its key, such as `limits.max_connections`.
fn key_in(text: &str) -> Option<&str> {
    let (key, _) = text.split_once(": ")?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.[]".contains(&byte);
    (!key.is_empty() && key.bytes().all(fits)).then_some(key)
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::Invalid(format!("the body must be a JSON object: {error}")))
}

/// Whether the app is to be enabled, if a change is of nothing else.
fn enabled_alone(changes: &Map<String, Value>) -> Option<bool> {
    match changes.get("enabled") {
        Some(Value::Bool(enabled)) if changes.len() == 1 => Some(*enabled),
        _ => None,
    }
}

/// As RFC 7396 merges.
fn merge(settings: &mut Map<String, Value>, changes: Map<String, Value>) {
    for (name, change) in changes {
        match change {
            Value::Null => {
                settings.remove(&name);
            }
            Value::Object(changes) => {
                let inner = settings.entry(name).or_insert_with(|| json!({}));
                if !inner.is_object() {
                    *inner = json!({});
                }
                if let Value::Object(inner) = inner {
                    merge(inner, changes);
                }
            }
            change => {
                settings.insert(name, change);
            }
        }
    }
}

fn new_key() -> String {
    hex::encode(rand::random::<[u8; KEY_BYTES]>())
}

fn new_secret() -> String {
    hex::encode(rand::random::<[u8; SECRET_BYTES]>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_merged_as_the_rfc_has_it() {
        let mut settings = object(br#"{"a":1,"b":{"c":2,"d":3},"e":[1]}"#).unwrap();
        let changes = br#"{"a":null,"b":{"c":null,"f":4},"e":{"g":5},"h":"i"}"#;
        merge(&mut settings, object(changes).unwrap());
        assert_eq!(
            Value::Object(settings),
            json!({ "b": { "d": 3, "f": 4 }, "e": { "g": 5 }, "h": "i" })
        );
    }

    #[test]
    fn what_may_be_secret_is_left_out() {
        let settings = object(
            br#"{"id":"1","key":"k","secret":"secret-1","extra_keys":[{"key":"o","secret":"secret-2"}],
                "webhooks":[{"url":"https://u:secret-3@a.test/secret-4?secret-5","events":["cache_miss"],
                             "headers":{"X-Token":"secret-6"}}]}"#,
        );
        let stored = Stored {
            version: 1,
            settings: settings.unwrap(),
            problem: None,
        };
        let shown = without_secrets(stored);
        assert!(!shown.to_string().contains("secret-"), "{shown}");
        let webhook = &shown["settings"]["webhooks"][0];
        assert_eq!(webhook["url"], "https://a.test");
        assert_eq!(webhook["headers"], json!({ "X-Token": null }));
        assert_eq!(shown["settings"]["extra_keys"][0], json!({ "key": "o" }));
    }

    #[test]
    fn of_settings_that_are_not_understood_the_names_are_shown() {
        for settings in [
            br#"{"id":"1","key":"k","secret":"secret-1","extra_key":[{"key":"o","secret":"secret-2"}]}"#.as_slice(),
            br#"{"id":"1","key":"k","secret":"secret-1","extra_keys":{"key":"o","secret":"secret-2"}}"#,
            br#"{"id":"1","key":"k","secret":"secret-1","webhooks":{"url":"https://a.test/secret-2"}}"#,
        ] {
            let stored = Stored {
                version: 1,
                settings: object(settings).unwrap(),
                problem: Some(Problem::Unfit("extra_key: unknown key".into())),
            };
            let shown = without_secrets(stored);
            assert!(!shown.to_string().contains("secret"), "{shown}");
            let settings = shown["settings"].as_object().unwrap();
            assert_eq!((&settings["id"], &settings["key"]), (&json!("1"), &json!("k")));
            assert_eq!(settings.len(), 3, "{shown}");
        }
    }

    #[test]
    fn a_sentence_says_which_setting_it_is_about() {
        for (text, expected) in [
            (
                "limits.max_connections: expected a number",
                Some("limits.max_connections"),
            ),
            (
                "webhooks[0].url: missing; expected a URL",
                Some("webhooks[0].url"),
            ),
            ("id: it cannot be changed", Some("id")),
            ("expected texts without control characters", None),
            ("a sentence: with another colon", None),
        ] {
            assert_eq!(key_in(text), expected, "{text}");
        }
    }

    #[test]
    fn keys_and_secrets_are_random() {
        assert_ne!(new_key(), new_key());
        assert_eq!((new_key().len(), new_secret().len()), (20, 64));
    }
}
