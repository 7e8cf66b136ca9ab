//! soketi's table of apps, read as soketi reads it.
//!
//! Source: soketi 1.6, `src/app.ts`, `src/ws-handler.ts` and `src/rate-limiters`, and its documentation, "SQL drivers".
//! What is NULL or not there is as soketi's server has it where nobody has set it otherwise, so that nothing is refused
//! that soketi took. What Fanfare has only in part is listed in docs/apps.md.

use serde_json::{Map, Value, json};

use super::own::is_on;
use crate::apps::{Limits, WebhookEvent, parse_header};

/// The columns that are read, where they are there.
pub(super) const COLUMNS: [&str; 18] = [
    "id",
    "key",
    "secret",
    "enabled",
    "max_connections",
    "enable_client_messages",
    "max_backend_events_per_sec",
    "max_client_events_per_sec",
    "max_read_req_per_sec",
    "webhooks",
    "max_presence_members_per_channel",
    "max_presence_member_size_in_kb",
    "max_channel_name_length",
    "max_event_channels_at_once",
    "max_event_name_length",
    "max_event_payload_in_kb",
    "max_event_batch_size",
    "enable_user_authentication",
];

/// Those without which there is no app.
pub(super) const NEEDED: [&str; 3] = ["id", "key", "secret"];

/// What soketi's server has where no column and no option says otherwise.
mod default {
    pub(super) const MEMBERS: f64 = 100.0;
    pub(super) const MEMBER_KB: f64 = 2.0;
    pub(super) const CHANNEL_NAME: f64 = 200.0;
    pub(super) const CHANNELS: f64 = 100.0;
    pub(super) const EVENT_NAME: f64 = 200.0;
    pub(super) const PAYLOAD_KB: f64 = 100.0;
    pub(super) const BATCH: f64 = 10.0;
    /// Seconds in which a client of an app with enable_user_authentication must sign in.
    pub(super) const SIGN_IN: u64 = 30;
}

/// The most that a rate can be set to: as good as none.
const ANY_RATE: f64 = 1_000_000.0;

/// What a row means here.
pub(super) struct Meaning {
    /// The settings as the file would have them.
    pub(super) settings: Map<String, Value>,
    /// What of it has no counterpart, for the log.
    pub(super) notes: Vec<String>,
}

/// A row of these columns.
struct Row<'a> {
    names: &'a [&'static str],
    values: &'a [Option<&'a str>],
}

impl<'a> Row<'a> {
    /// To soketi, an empty text is as none.
    fn text(&self, name: &str) -> Option<&'a str> {
        let at = self.names.iter().position(|known| *known == name)?;
        let text = self.values.get(at).copied().flatten()?;
        (!text.is_empty()).then_some(text)
    }

    fn number(&self, name: &str) -> Result<Option<f64>, String> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        match text.trim().parse::<f64>() {
            Ok(number) if number.is_finite() && number.abs() <= 1e12 => Ok(Some(number)),
            _ => Err(format!("{name}: expected a number, found another text")),
        }
    }

    /// A limit; less than zero stands for none.
    fn limit(&self, name: &str) -> Result<Option<f64>, String> {
        Ok(self.number(name)?.filter(|number| *number >= 0.0))
    }

    fn switch(&self, name: &str, default: bool) -> bool {
        self.text(name).map_or(default, is_on)
    }
}

/// What a row of these columns means.
pub(super) fn meaning(names: &[&'static str], values: &[Option<&str>]) -> Result<Meaning, String> {
    let row = Row { names, values };
    let mut notes = Vec::new();
    let mut settings = Map::new();
    for name in NEEDED {
        if let Some(text) = row.text(name) {
            settings.insert(name.into(), text.into());
        }
    }
    let client_rate = row.limit("max_client_events_per_sec")?;
    let are_sent = row.switch("enable_client_messages", false) && client_rate != Some(0.0);
    settings.insert("enabled".into(), row.switch("enabled", true).into());
    settings.insert("client_events".into(), are_sent.into());
    if row.switch("enable_user_authentication", false) {
        let key = "authorized_connections_timeout";
        settings.insert(key.into(), default::SIGN_IN.into());
    }
    settings.insert("limits".into(), limits(&row, client_rate, &mut notes)?);
    settings.insert("webhooks".into(), webhooks(&row, &mut notes)?);
    Ok(Meaning { settings, notes })
}

fn limits(row: &Row<'_>, clients: Option<f64>, notes: &mut Vec<String>) -> Result<Value, String> {
    let mut limit = |name: &str, default: f64, most: f64| {
        let number = row.number(name)?.unwrap_or(default).floor();
        if number > most {
            notes.push(format!("{name} is more than {most}, which holds"));
        }
        Ok::<f64, String>(number.min(most))
    };
    let channel_name = Limits::MAX_CHANNEL_NAME_LENGTH as f64;
    let members = limit("max_presence_members_per_channel", default::MEMBERS, 1e5)?;
    let channel_name = limit(
        "max_channel_name_length",
        default::CHANNEL_NAME,
        channel_name,
    )?;
    let channels = limit("max_event_channels_at_once", default::CHANNELS, 1e4)?;
    let event_name = limit("max_event_name_length", default::EVENT_NAME, 1e3)?;
    let batch = limit("max_event_batch_size", default::BATCH, 1e4)?;
    let kilobytes = |name: &str, default: f64| {
        let bytes = row.number(name)?.unwrap_or(default) * 1024.0;
        Ok::<f64, String>(bytes.floor())
    };
    let payload = kilobytes("max_event_payload_in_kb", default::PAYLOAD_KB)?;
    let member = kilobytes("max_presence_member_size_in_kb", default::MEMBER_KB)?;
    // A client's message carries its event with every character escaped, perhaps.
    let message = (payload * 2.0).max(Limits::default().message_bytes as f64);
    let connections = row.limit("max_connections")?.unwrap_or_default();
    let backend = row.limit("max_backend_events_per_sec")?;
    let reads = row.limit("max_read_req_per_sec")?;
    // Here, one limit is for all requests. Both together are never less than what soketi would have taken.
    let requests = match (backend, reads) {
        (Some(backend), Some(reads)) => (backend + reads).clamp(1.0, ANY_RATE),
        (None, None) => 0.0,
        _ => {
            notes.push(
                "max_backend_events_per_sec and max_read_req_per_sec hold only together, as requests_per_second"
                    .into(),
            );
            0.0
        }
    };
    let whole = |number: f64| number as i64;
    Ok(json!({
        "max_connections": whole(connections),
        "presence_members": whole(members),
        "presence_user_info_bytes": whole(member),
        "channel_name_length": whole(channel_name),
        "channels_per_event": whole(channels),
        "event_name_length": whole(event_name),
        "event_data_bytes": whole(payload),
        "message_bytes": whole(message),
        "batch_events": whole(batch),
        "client_events_per_second": whole(clients.unwrap_or(ANY_RATE).clamp(1.0, ANY_RATE)),
        "requests_per_second": whole(requests),
    }))
}

fn webhooks(row: &Row<'_>, notes: &mut Vec<String>) -> Result<Value, String> {
    let Some(text) = row.text("webhooks") else {
        return Ok(json!([]));
    };
    let unfit = || "webhooks: expected a list of objects in JSON".to_owned();
    let list: Vec<Value> = match serde_json::from_str(text) {
        Ok(Value::Array(list)) => list,
        Ok(Value::Null) => Vec::new(),
        _ => return Err(unfit()),
    };
    let mut webhooks = Vec::new();
    for webhook in &list {
        let Value::Object(webhook) = webhook else {
            return Err(unfit());
        };
        webhooks.extend(self::webhook(webhook, notes)?);
    }
    Ok(webhooks.into())
}

/// A webhook, unless it is one that only soketi has.
fn webhook(webhook: &Map<String, Value>, notes: &mut Vec<String>) -> Result<Option<Value>, String> {
    let Some(url) = webhook.get("url").filter(|url| **url != Value::Null) else {
        notes.push("a webhook without a URL, as of a lambda function, is left out".into());
        return Ok(None);
    };
    let Some(Value::Array(events)) = webhook.get("event_types") else {
        return Err("webhooks: expected event_types to be a list".into());
    };
    let is_known = |event: &&Value| {
        let name = event.as_str();
        name.is_some_and(|name| WebhookEvent::of_name(name).is_some())
    };
    let known: Vec<&Value> = events.iter().filter(is_known).collect();
    if known.len() < events.len() {
        notes.push("event_types of a webhook that are no events are left out".into());
    }
    if known.is_empty() {
        return Ok(None);
    }
    let mut headers = Map::new();
    if let Some(Value::Object(own)) = webhook.get("headers") {
        for (name, value) in own {
            let text = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            if parse_header(name, &text).is_some() {
                headers.insert(name.clone(), text.into());
            } else {
                notes.push(
                    "headers of a webhook that the relay or HTTP itself sets are left out".into(),
                );
            }
        }
    }
    let filter = |name: &str| {
        let value = webhook.get("filter").and_then(|filter| filter.get(name));
        value.and_then(Value::as_str).unwrap_or_default()
    };
    Ok(Some(json!({
        "url": url,
        "events": known,
        "headers": headers,
        "filter": {
            "channel_prefix": filter("channel_name_starts_with"),
            "channel_suffix": filter("channel_name_ends_with"),
        },
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(columns: &[(&'static str, &str)]) -> Result<Meaning, String> {
        let names: Vec<&'static str> = columns.iter().map(|(name, _)| *name).collect();
        let values: Vec<Option<&str>> = columns.iter().map(|(_, value)| Some(*value)).collect();
        meaning(&names, &values)
    }

    #[test]
    fn what_is_not_given_is_as_soketi_has_it() {
        let meaning = of(&[("id", "1"), ("key", "k"), ("secret", "s")]).unwrap();
        assert_eq!(
            Value::Object(meaning.settings),
            json!({
                "id": "1", "key": "k", "secret": "s", "enabled": true, "client_events": false,
                "webhooks": [],
                "limits": {
                    "max_connections": 0, "presence_members": 100,
                    "presence_user_info_bytes": 2048, "channel_name_length": 200,
                    "channels_per_event": 100, "event_name_length": 200,
                    "event_data_bytes": 102_400, "message_bytes": 204_800, "batch_events": 10,
                    "client_events_per_second": 1_000_000, "requests_per_second": 0,
                },
            })
        );
        assert!(meaning.notes.is_empty());
    }

    #[test]
    fn limits_hold_as_far_as_there_are_such() {
        let meaning = of(&[
            ("max_connections", "-1"),
            ("enable_client_messages", "1"),
            ("max_client_events_per_sec", "7"),
            ("max_backend_events_per_sec", "100"),
            ("max_read_req_per_sec", "20"),
            ("max_event_payload_in_kb", "0.5"),
            ("max_channel_name_length", "500"),
            ("enable_user_authentication", "true"),
        ])
        .unwrap();
        let limits = &meaning.settings["limits"];
        assert_eq!(limits["max_connections"], 0);
        assert_eq!(limits["client_events_per_second"], 7);
        assert_eq!(limits["requests_per_second"], 120);
        assert_eq!(limits["event_data_bytes"], 512);
        assert_eq!(limits["channel_name_length"], 200);
        assert_eq!(meaning.settings["client_events"], true);
        assert_eq!(meaning.settings["authorized_connections_timeout"], 30);
        assert_eq!(meaning.notes.len(), 1, "{:?}", meaning.notes);
        let none = of(&[
            ("enable_client_messages", "1"),
            ("max_client_events_per_sec", "0"),
        ]);
        assert_eq!(none.unwrap().settings["client_events"], false);
    }

    #[test]
    fn webhooks_are_translated_and_what_only_soketi_has_is_noted() {
        let text = r#"[
            {"url": "https://a.example/hook", "event_types": ["channel_occupied", "nonsense"],
             "headers": {"X-Env": "prod", "Host": "b", "X-Number": 7},
             "filter": {"channel_name_starts_with": "chat-"}},
            {"lambda_function": "f", "event_types": ["client_event"], "lambda": {}}
        ]"#;
        let meaning = of(&[("webhooks", text)]).unwrap();
        assert_eq!(
            meaning.settings["webhooks"],
            json!([{
                "url": "https://a.example/hook", "events": ["channel_occupied"],
                "headers": {"X-Env": "prod", "X-Number": "7"},
                "filter": {"channel_prefix": "chat-", "channel_suffix": ""},
            }])
        );
        assert_eq!(meaning.notes.len(), 3, "{:?}", meaning.notes);
        for text in ["{", "{}", "7", "[7]", r#"[{"url":"https://a.example"}]"#] {
            assert!(of(&[("webhooks", text)]).is_err(), "{text}");
        }
        assert!(of(&[("webhooks", "null")]).is_ok());
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["x", "NaN", "inf", "1e300", "'"] {
            assert!(of(&[("max_connections", text)]).is_err(), "{text}");
        }
    }
}
