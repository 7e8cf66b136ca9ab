//! What each key means: its type, its range, its default.
//!
//! - [`server`], [`admin`], [`log`]: the sections that there is one of
//! - [`cluster`]: whom the node shares its channels with
//! - [`apps`], [`limits`], [`resume`]: the apps, and what must hold among them; the limits of one, and
//!   how its sessions outlive their connections
//! - [`webhooks`]: what holds for all webhooks, and the webhooks of one app
//! - [`tls`]: the listener that speaks TLS, and its certificates
//! - [`acme`]: a certificate that an authority issues
//! - [`ingest`]: what comes in otherwise than over the HTTP API

mod acme;
pub(super) mod apps;
pub(super) mod cluster;
pub(super) mod ingest;
mod limits;
mod resume;
pub(super) mod tls;
pub(super) mod webhooks;

use std::ops::RangeInclusive;

use super::section::Section;
use super::settings::{Admin, Log, LogFormat, LogLevel, Role, Server};
use super::{Address, ConfigError};

/// Seconds in which something is still waited for by somebody.
const WAIT: RangeInclusive<u64> = 1..=3600;

const ADDRESS: &str = "host:port, such as 127.0.0.1:6001, [::1]:6001 or localhost:6001";

pub(super) fn server(section: &Section<'_>) -> Result<Server, ConfigError> {
    let default = Server::default();
    let role = section.text("role", "`relay` or `api`", |text| match text {
        "relay" => Some(Role::Relay),
        "api" => Some(Role::Api),
        _ => None,
    })?;
    Ok(Server {
        role: role.unwrap_or(default.role),
        listen: section
            .text("listen", ADDRESS, |text| text.parse().ok())?
            .unwrap_or(default.listen),
        path_prefix: section
            .text(
                "path_prefix",
                "nothing or a path such as /relay, of letters, digits, `-`, `_`, `.` and `~`",
                normal_prefix,
            )?
            .unwrap_or(default.path_prefix),
        workers: section.optional("workers", 1024)?,
        // The protocol carries whole seconds, and clients fail on 0.
        activity_timeout: section.seconds(
            "activity_timeout",
            default.activity_timeout,
            1..=86_400,
        )?,
        pong_timeout: section.seconds("pong_timeout", default.pong_timeout, WAIT)?,
        max_connections: section.optional("max_connections", 100_000_000)?,
        request_head_timeout: section.seconds(
            "request_head_timeout",
            default.request_head_timeout,
            WAIT,
        )?,
        request_timeout: section.seconds("request_timeout", default.request_timeout, WAIT)?,
        keep_alive: section.seconds("keep_alive", default.keep_alive, WAIT)?,
        http_backlog_bytes: section.whole(
            "http_backlog_bytes",
            default.http_backlog_bytes,
            1 << 20..=1 << 40,
        )?,
        message_timeout: section.seconds("message_timeout", default.message_timeout, WAIT)?,
        write_timeout: section.seconds("write_timeout", default.write_timeout, WAIT)?,
        fallback_timeout: section.seconds("fallback_timeout", default.fallback_timeout, WAIT)?,
        close_timeout: section.seconds("close_timeout", default.close_timeout, WAIT)?,
        shutdown_timeout: section.seconds("shutdown_timeout", default.shutdown_timeout, WAIT)?,
        state_dir: section
            .text("state_dir", "the path of a folder", |text| {
                (!text.is_empty()).then(|| text.into())
            })?
            .unwrap_or(default.state_dir),
    })
}

pub(super) fn admin(section: &Section<'_>) -> Result<Admin, ConfigError> {
    let expected = format!("{ADDRESS}, or nothing to turn it off");
    let listen = section.text("listen", &expected, |text| match text {
        "" => Some(None),
        text => text.parse().ok().map(Some),
    })?;
    Ok(match listen {
        Some(listen) => Admin { listen },
        None => Admin::default(),
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

/// Two listeners cannot share an address; better refused here than by the system. `listeners` are the sections and what
/// they listen on; a default is never blamed.
pub(super) fn listeners_differ(
    listeners: &[(&Section<'_>, Option<&Address>)],
) -> Result<(), ConfigError> {
    for (index, (section, listen)) in listeners.iter().enumerate() {
        for (other, other_listen) in &listeners[..index] {
            let Some(address) = listen.filter(|it| *other_listen == Some(*it) && it.port() != 0)
            else {
                continue;
            };
            let (blamed, other) = if other.has("listen") {
                (other, section)
            } else {
                (section, other)
            };
            let other = other.place("listen").key;
            let expected = format!("another address than that of {other}");
            return Err(blamed.invalid("listen", expected, address.to_string()));
        }
    }
    Ok(())
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
