//! The limits of an app.

use std::time::Duration;

use super::super::ConfigError;
use super::super::section::Section;
use crate::apps::Limits;

/// No size in bytes can be set above this.
const MAX_BYTES: usize = 1 << 30;
/// No number of things can be set above this.
const MAX_COUNT: usize = 100_000_000;

pub(super) fn read(section: &Section<'_>) -> Result<Limits, ConfigError> {
    let default = Limits::default();
    let bytes = |key, default| section.whole(key, default, 1..=MAX_BYTES);
    let count = |key, default, most| section.whole(key, default, 1..=most);
    let mut limits = Limits {
        max_connections: section.optional("max_connections", MAX_COUNT)?,
        event_data_bytes: bytes("event_data_bytes", default.event_data_bytes)?,
        event_name_length: count("event_name_length", default.event_name_length, 1000)?,
        channel_name_length: count(
            "channel_name_length",
            default.channel_name_length,
            Limits::MAX_CHANNEL_NAME_LENGTH,
        )?,
        channels_per_event: count("channels_per_event", default.channels_per_event, 10_000)?,
        batch_events: count("batch_events", default.batch_events, 10_000)?,
        client_events_per_second: section.whole(
            "client_events_per_second",
            default.client_events_per_second,
            1..=1_000_000,
        )?,
        messages_per_second: section.whole(
            "messages_per_second",
            default.messages_per_second,
            1..=1_000_000,
        )?,
        overrun_timeout: section.seconds("overrun_timeout", default.overrun_timeout, 1..=86_400)?,
        presence_members: count("presence_members", default.presence_members, 100_000)?,
        presence_user_id_length: count(
            "presence_user_id_length",
            default.presence_user_id_length,
            1000,
        )?,
        presence_user_info_bytes: bytes(
            "presence_user_info_bytes",
            default.presence_user_info_bytes,
        )?,
        watchlist_users: count("watchlist_users", default.watchlist_users, 10_000)?,
        outbox_bytes: bytes("outbox_bytes", default.outbox_bytes)?,
        channels_per_connection: count(
            "channels_per_connection",
            default.channels_per_connection,
            MAX_COUNT,
        )?,
        message_bytes: bytes("message_bytes", default.message_bytes)?,
        cache_bytes: section.whole("cache_bytes", default.cache_bytes, 1..=1 << 40)?,
        cache_ttl: section.seconds("cache_ttl", default.cache_ttl, 1..=86_400)?,
        idempotency_bytes: bytes("idempotency_bytes", default.idempotency_bytes)?,
        auth_timestamp_window: section.seconds(
            "auth_timestamp_window",
            default.auth_timestamp_window,
            1..=86_400,
        )?,
        http_body_bytes: bytes("http_body_bytes", default.http_body_bytes)?,
        publish_backlog: count("publish_backlog", default.publish_backlog, MAX_COUNT)?,
        publish_wait: section
            .whole(
                "publish_wait_ms",
                default.publish_wait.as_millis() as u64,
                0..=60_000,
            )
            .map(Duration::from_millis)?,
        requests_per_second: section.optional_u32("requests_per_second", 1_000_000)?,
    };
    fit_a_full_batch(section, &mut limits)?;
    Ok(limits)
}

/// Bodies grow with the events that they hold. Only one who sets the body's limit by hand has
/// to keep it large enough.
fn fit_a_full_batch(section: &Section<'_>, limits: &mut Limits) -> Result<(), ConfigError> {
    const KEY: &str = "http_body_bytes";
    let needed = limits.full_batch_bytes();
    if limits.http_body_bytes >= needed {
        return Ok(());
    }
    if section.has(KEY) {
        let expected = format!(
            "at least {needed}, so that a full batch fits (batch_events {}, event_data_bytes {})",
            limits.batch_events, limits.event_data_bytes,
        );
        return Err(section.invalid(KEY, expected, limits.http_body_bytes.to_string()));
    }
    limits.http_body_bytes = needed;
    Ok(())
}
