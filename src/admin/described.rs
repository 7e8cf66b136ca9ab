//! What the API says of apps, channels and connections. Secrets are no part of it.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use crate::apps::{App, Limits, Webhook};
use crate::auth::Signer;
use crate::hub::{AppHub, CarriedBy, ChannelState, ConnectionReport};
use crate::metrics::AppMetrics;
use crate::protocol::ChannelKind;
use crate::protocol::channel::Access;
use crate::webhooks::{Failure, Report, Tally};

/// An app in a list, of the configuration or not.
pub(super) fn brief(app: &App, at_work: Option<&AppHub>, is_configured: bool) -> Value {
    let metrics = at_work.map(|hub| &hub.metrics);
    let connections = metrics.map_or(0, |metrics| metrics.connections.get());
    let channels = metrics.map_or(0, |metrics| metrics.channels.get());
    let total = |count: fn(&AppMetrics) -> u64| metrics.map_or(0, count);
    json!({
        "id": app.id,
        "key": app.keys.signing().key(),
        "enabled": app.enabled,
        "source": if is_configured { "configuration" } else { "database" },
        "connections": connections,
        "channels": channels,
        "messages_received": total(|metrics| metrics.messages_received.get()),
        "messages_sent": total(|metrics| metrics.messages_sent.get()),
        "publishes": total(|metrics| metrics.publishes.get()),
        "errors": total(AppMetrics::errors),
    })
}

/// An app with all of its settings.
pub(super) fn app(app: &App, at_work: Option<&AppHub>, is_configured: bool) -> Value {
    let mut described = brief(app, at_work, is_configured);
    let more = json!({
        "extra_keys": app.keys.iter().skip(1).map(Signer::key).collect::<Vec<_>>(),
        "client_events": app.client_events,
        "subscription_count": app.subscription_count,
        "allowed_origins": app.allowed_origins.patterns(),
        "allow_missing_origin": app.allowed_origins.allows_missing(),
        "authorized_connections_timeout":
            app.authorized_connections_timeout.map_or(0, |timeout| timeout.as_secs()),
        "watchlist": app.watchlist,
        "watchlist_grace": app.watchlist_grace.as_secs(),
        "webhooks": app.webhooks.iter().map(webhook).collect::<Vec<_>>(),
        "resume": {
            "window": app.resume.window.as_secs(),
            "sessions": app.resume.sessions,
            "session_bytes": app.resume.session_bytes,
            "bytes": app.resume.bytes,
        },
        "limits": limits(&app.limits),
    });
    if let (Value::Object(described), Value::Object(more)) = (&mut described, more) {
        described.extend(more);
    }
    described
}

/// The webhooks of an app at work, and what becomes of what is sent to them.
pub(super) fn webhooks(hub: &AppHub) -> Value {
    let metrics = &hub.metrics;
    let by_name = |counts: &mut dyn Iterator<Item = (Arc<str>, u64)>| -> Value {
        let named = counts.map(|(name, count)| (String::from(&*name), count.into()));
        Value::Object(named.collect())
    };
    json!({
        "webhooks": hub.webhooks().reports().iter().map(report).collect::<Vec<_>>(),
        "waiting": metrics.webhook_events_waiting.get(),
        "sent": metrics.webhook_events_sent.get(),
        "dropped": by_name(&mut metrics.webhook_events_dropped.each()),
        "requests": by_name(&mut metrics.webhook_requests.each()),
    })
}

/// A webhook, and how it gets on at this node.
fn report(report: &Report) -> Value {
    let Tally {
        sent,
        failed,
        last_taken,
        failures,
    } = &report.tally;
    let mut described = webhook(&report.webhook);
    described["waiting"] = report.waiting.into();
    described["waiting_bytes"] = report.waiting_bytes.into();
    described["sent"] = (*sent).into();
    described["failed"] = (*failed).into();
    described["last_taken"] = last_taken.map(unix_seconds).into();
    described["failures"] = failures.iter().map(failure).collect();
    described
}

fn failure(failure: &Failure) -> Value {
    json!({
        "at": unix_seconds(failure.at),
        "kinds": failure.kinds.names().collect::<Vec<_>>(),
        "events": failure.events,
        "attempt": failure.attempt,
        "status": failure.status,
        "reason": failure.reason,
        "retry_at": failure.retry_at.map(unix_seconds),
    })
}

/// Scheme, host and port of its address, and the names of its headers: the rest may be secret.
fn webhook(webhook: &Webhook) -> Value {
    let names: Vec<&str> = webhook.headers.keys().map(|name| name.as_str()).collect();
    json!({
        "url": webhook.url.to_string(),
        "events": webhook.events.names().collect::<Vec<_>>(),
        "batch": webhook.batch,
        "headers": names,
        "filter": {
            "channel_prefix": webhook.filter.prefix,
            "channel_suffix": webhook.filter.suffix,
        },
    })
}

/// By the names and in the units of the configuration, in which 0 stands for no limit.
fn limits(limits: &Limits) -> Value {
    json!({
        "max_connections": limits.max_connections.unwrap_or(0),
        "event_data_bytes": limits.event_data_bytes,
        "event_name_length": limits.event_name_length,
        "channel_name_length": limits.channel_name_length,
        "channels_per_event": limits.channels_per_event,
        "batch_events": limits.batch_events,
        "client_events_per_second": limits.client_events_per_second,
        "messages_per_second": limits.messages_per_second,
        "overrun_timeout": limits.overrun_timeout.as_secs(),
        "presence_members": limits.presence_members,
        "presence_user_id_length": limits.presence_user_id_length,
        "presence_user_info_bytes": limits.presence_user_info_bytes,
        "watchlist_users": limits.watchlist_users,
        "outbox_bytes": limits.outbox_bytes,
        "channels_per_connection": limits.channels_per_connection,
        "message_bytes": limits.message_bytes,
        "cache_bytes": limits.cache_bytes,
        "cache_ttl": limits.cache_ttl.as_secs(),
        "idempotency_bytes": limits.idempotency_bytes,
        "auth_timestamp_window": limits.auth_timestamp_window.as_secs(),
        "http_body_bytes": limits.http_body_bytes,
        "publish_backlog": limits.publish_backlog,
        "publish_wait_ms": limits.publish_wait.as_millis() as u64,
        "requests_per_second": limits.requests_per_second.unwrap_or(0),
    })
}

/// A channel in a list: `users` is there for presence channels alone.
pub(super) fn channel(name: &str, kind: ChannelKind, state: &ChannelState) -> Map<String, Value> {
    let mut channel = Map::new();
    channel.insert("name".into(), name.into());
    channel.insert("kind".into(), kind_name(kind.access).into());
    channel.insert("subscribers".into(), state.subscribers.into());
    if kind.is_presence() {
        channel.insert("users".into(), state.users.into());
    }
    channel
}

fn kind_name(access: Access) -> &'static str {
    match access {
        Access::Public => "public",
        Access::Private => "private",
        Access::Encrypted => "encrypted",
        Access::Presence => "presence",
        Access::ServerToUser => "server_to_user",
    }
}

/// A connection; with its subscriptions if they were looked at.
pub(super) fn connection(report: &ConnectionReport) -> Value {
    let (carrier, transport) = match report.carried_by {
        CarriedBy::WebSocket => ("websocket", "tcp"),
        CarriedBy::WebSocketOverTls => ("websocket", "tls"),
        CarriedBy::Streaming => ("http", "xhr_streaming"),
        CarriedBy::Polling => ("http", "xhr_polling"),
        CarriedBy::Nothing => ("none", "away"),
    };
    let mut described = json!({
        "socket_id": report.socket_id.to_string(),
        "connected_at": unix_seconds(report.connected_at),
        "address": report.address.map(|address| address.to_string()),
        "user_id": report.user_id.as_deref(),
        "carrier": carrier,
        "transport": transport,
        "compressed": report.compressed,
        "subscriptions": report.subscriptions,
        "waiting_bytes": report.waiting_bytes,
    });
    if let Some(channels) = &report.channels {
        let channels = channels.iter().map(
            |(channel, member)| json!({ "name": channel.as_str(), "user_id": member.as_deref() }),
        );
        described["channels"] = channels.collect();
    }
    described
}

/// Seconds since 1970.
pub(super) fn unix_seconds(time: SystemTime) -> u64 {
    let since_1970 = time.duration_since(UNIX_EPOCH);
    since_1970.map_or(0, |time| time.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What there is to set in a configuration file, there is to see.
    #[test]
    fn an_app_is_described_with_every_key_of_the_configuration() {
        let record = App::new("1", Signer::new("k", b"a secret"));
        let described = app(&record, None, true);
        for key in crate::config::APP_KEYS
            .iter()
            .filter(|key| !key.starts_with("secret"))
        {
            assert!(described.get(key).is_some(), "{key}");
        }
        for key in crate::config::LIMIT_KEYS {
            assert!(described["limits"].get(key).is_some(), "{key}");
        }
        assert!(!described.to_string().contains("a secret"));
    }
}
