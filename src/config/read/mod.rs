//! What each key means: its type, its range, its default.
//!
//! - [`mod@server`], [`mod@admin`], [`metrics`], [`log`]: the sections that there is one of
//! - [`mod@compression`]: whether and how WebSocket messages are compressed
//! - [`cluster`]: whom the node shares its channels with
//! - [`apps`], [`limits`], [`resume`]: the apps, and what must hold among them; the limits of one, and
//!   how its sessions outlive their connections
//! - [`webhooks`]: what holds for all webhooks, and the webhooks of one app
//! - [`tls`]: the listener that speaks TLS, and its certificates
//! - [`acme`]: a certificate that an authority issues
//! - [`database`]: the database that more apps come from
//! - [`ingest`]: what comes in otherwise than over the HTTP API

mod acme;
pub(super) mod admin;
pub(super) mod apps;
pub(super) mod cluster;
mod compression;
pub(super) mod database;
pub(super) mod ingest;
mod limits;
mod resume;
pub(super) mod server;
pub(super) mod tls;
pub(super) mod webhooks;

use std::ops::RangeInclusive;

pub(super) use self::compression::compression;

use super::ConfigError;
use super::section::Section;
use super::settings::{Log, LogFormat, LogLevel};
use crate::metrics::MetricsSettings;

/// Seconds in which something is still waited for by somebody.
const WAIT: RangeInclusive<u64> = 1..=3600;

const ADDRESS: &str = "host:port, such as 127.0.0.1:6001, [::1]:6001 or localhost:6001";

pub(super) fn metrics(section: &Section<'_>) -> Result<MetricsSettings, ConfigError> {
    let default = MetricsSettings::default();
    let expected = "what names of metrics may begin with: up to 64 letters, digits and _, no digit first, \
                    and neither process_ nor soketi_";
    let prefix = section.text("prefix", expected, |text| {
        MetricsSettings::is_prefix(text).then(|| text.into())
    })?;
    Ok(MetricsSettings {
        prefix: prefix.unwrap_or(default.prefix),
        soketi_names: section.switch("soketi_names", default.soketi_names)?,
    })
}

pub(super) fn log(section: &Section<'_>) -> Result<Log, ConfigError> {
    let format = section.text("format", "`human` or `json`", |text| match text {
        "human" => Some(LogFormat::Human),
        "json" => Some(LogFormat::Json),
        _ => None,
    })?;
    let levels = "`error`, `warn`, `info`, `debug` or `trace`";
    let level = section.text("level", levels, |text| match text {
        "error" => Some(LogLevel::Error),
        "warn" => Some(LogLevel::Warn),
        "info" => Some(LogLevel::Info),
        "debug" => Some(LogLevel::Debug),
        "trace" => Some(LogLevel::Trace),
        _ => None,
    })?;
    Ok(Log {
        format: format.unwrap_or_default(),
        level: level.unwrap_or_default(),
    })
}

/// `/a/b` of `a/b`, `/a/b/` and the like; nothing of `/` and nothing.
fn normal_prefix(text: &str) -> Option<Box<str>> {
    if matches!(text, "" | "/") {
        return Some("".into());
    }
    let inner = text.strip_prefix('/').unwrap_or(text);
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    let segments_fit = inner.split('/').all(is_path_segment);
    segments_fit.then(|| format!("/{inner}").into())
}

/// Whether a text stands for itself as a segment of a URL's path.
fn is_path_segment(text: &str) -> bool {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    !matches!(text, "" | "." | "..") && text.bytes().all(unreserved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_brought_to_one_form() {
        for text in ["relay/v1", "/relay/v1", "relay/v1/", "/relay/v1/"] {
            assert_eq!(normal_prefix(text).as_deref(), Some("/relay/v1"), "{text}");
        }
        for text in ["", "/"] {
            assert_eq!(normal_prefix(text).as_deref(), Some(""), "{text}");
        }
        for text in ["//", "a//b", "a b", "a/../b", ".", "a?b", "ä", "%61"] {
            assert_eq!(normal_prefix(text), None, "{text}");
        }
    }
}
