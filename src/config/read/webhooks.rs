//! What holds for all webhooks, and the webhooks of one app.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::HeaderMap;

use super::super::ConfigError;
use super::super::keys::{FILTER, WEBHOOK};
use super::super::section::Section;
use crate::apps::{ChannelFilter, Webhook, WebhookEvent, WebhookUrl, parse_header};
use crate::webhooks::{JournalPlace, Settings, may_be_public};

const TABLES: &str = "a list of tables, each begun by [[apps.webhooks]]";
const URL: &str = "a URL that begins with https:// or http://, such as https://example.com/webhook";
const PUBLIC: &str = "a public address, as webhooks.private_addresses is false";
const EVENTS: &str = "a list of one or more of channel_occupied, channel_vacated, member_added, \
                      member_removed, client_event, cache_miss and subscription_count";
const HEADERS: &str = "a table of headers such as { X-Env = \"prod\" }, of visible ASCII characters, \
                       without those that the relay or HTTP itself sets";
const NAME_PART: &str = "part of a channel's name";
const CERTIFICATES: &str = "the path of a PEM file, or nothing";
const JOURNAL: &str = "the path of a folder, \"auto\" for webhooks in server.state_dir, or nothing to keep no journal";

/// Milliseconds in which something is still waited for by somebody.
const WAIT_MS: RangeInclusive<u64> = 0..=60_000;

/// What `journal` is unless it is set.
const USUAL: &str = "auto";
/// The folder that it stands for.
const FOLDER: &str = "webhooks";

pub(in crate::config) fn settings(
    section: &Section<'_>,
    state_dir: &Path,
) -> Result<Settings, ConfigError> {
    let default = Settings::default();
    let milliseconds = |key, default: Duration| {
        section
            .whole(key, default.as_millis() as u64, WAIT_MS)
            .map(Duration::from_millis)
    };
    let path = |key, expected| {
        let text = section.text(key, expected, |text| Some(text.to_owned()))?;
        Ok(text.filter(|path| !path.is_empty()).map(PathBuf::from))
    };
    Ok(Settings {
        leave_delay: milliseconds("leave_delay_ms", default.leave_delay)?,
        timeout: section.seconds("timeout", default.timeout, 1..=300)?,
        retry_for: section.seconds("retry_for", default.retry_for, 0..=86_400)?,
        batch_wait: milliseconds("batch_wait_ms", default.batch_wait)?,
        // Their ids have to fit in a header.
        batch_events: section.whole("batch_events", default.batch_events, 1..=100)?,
        concurrency: section.whole("concurrency", default.concurrency, 1..=1000)?,
        backlog_bytes: section.whole("backlog_bytes", default.backlog_bytes, 1024..=1 << 40)?,
        private_addresses: section.switch("private_addresses", default.private_addresses)?,
        ca_certificates: path("ca_certificates", CERTIFICATES)?,
        journal: journal(section, state_dir)?,
    })
}

fn journal(section: &Section<'_>, state_dir: &Path) -> Result<JournalPlace, ConfigError> {
    let text = section.text("journal", JOURNAL, |text| Some(text.to_owned()))?;
    Ok(match text.as_deref() {
        None | Some(USUAL) => JournalPlace::Usual(state_dir.join(FOLDER)),
        Some("") => JournalPlace::Nowhere,
        Some(folder) => JournalPlace::Named(folder.into()),
    })
}

/// The webhooks of an app.
pub(super) fn of_app(app: &Section<'_>, settings: &Settings) -> Result<Vec<Webhook>, ConfigError> {
    app.children("webhooks", WEBHOOK, TABLES)?
        .iter()
        .map(|section| webhook(section, settings))
        .collect()
}

fn webhook(section: &Section<'_>, settings: &Settings) -> Result<Webhook, ConfigError> {
    let url = url(section, settings)?;
    let names = section.texts("events", EVENTS, |name| {
        WebhookEvent::of_name(name).is_some()
    })?;
    if names.is_empty() {
        return Err(if section.has("events") {
            section.invalid("events", EVENTS, "an empty list")
        } else {
            section.missing("events", EVENTS)
        });
    }
    let filter = section.child("filter", FILTER)?;
    Ok(Webhook {
        url,
        events: names
            .into_iter()
            .filter_map(WebhookEvent::of_name)
            .collect(),
        batch: section.switch("batch", false)?,
        headers: headers(section)?,
        filter: ChannelFilter {
            prefix: name_part(&filter, "channel_prefix")?,
            suffix: name_part(&filter, "channel_suffix")?,
        },
    })
}

fn url(section: &Section<'_>, settings: &Settings) -> Result<WebhookUrl, ConfigError> {
    let text = section.secret("url", URL, |text| WebhookUrl::parse(text).is_ok())?;
    let url = WebhookUrl::parse(&text).expect("it was tried");
    if !settings.private_addresses && !may_be_public(&url) {
        return Err(section.invalid("url", PUBLIC, url.to_string()));
    }
    Ok(url)
}

fn headers(section: &Section<'_>) -> Result<HeaderMap, ConfigError> {
    let mut headers = HeaderMap::new();
    for (name, value) in section.secret_table("headers", HEADERS)? {
        match parse_header(name, value) {
            Some((name, value)) => headers.insert(name, value),
            None => return Err(section.invalid("headers", HEADERS, format!("{name:?}"))),
        };
    }
    Ok(headers)
}

fn name_part(section: &Section<'_>, key: &str) -> Result<Box<str>, ConfigError> {
    let part = section.text(key, NAME_PART, |text| Some(text.into()))?;
    Ok(part.unwrap_or_default())
}
