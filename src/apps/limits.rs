//! Every limit that an app may set.

use std::time::Duration;

/// The limits of one app. *Pusher* marks a default that is Pusher Channels' own documented
/// limit; the others are the relay's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// WebSocket connections of the app at one time; `None`, the default: no limit.
    pub max_connections: Option<usize>,
    /// Bytes of the data of one event, published or sent by a client. 10,240 (Pusher).
    pub event_data_bytes: usize,
    /// Characters of an event's name. 200 (Pusher).
    pub event_name_length: usize,
    /// Characters of a channel's name, prefix included, never above
    /// [`Limits::MAX_CHANNEL_NAME_LENGTH`]. 164 (Pusher).
    pub channel_name_length: usize,
    /// Channels that one publish may name. 100 (Pusher).
    pub channels_per_event: usize,
    /// Events in one batch. 10 (Pusher).
    pub batch_events: usize,
    /// Client events a second that one connection may send; also how many it may send at
    /// once. 10 (Pusher).
    pub client_events_per_second: u32,
    /// Messages and control frames a second that one connection may send over a longer time;
    /// client events that are within their own rate are not counted. 100.
    pub messages_per_second: u32,
    /// How long a connection that sends more is made to wait for its next messages before it
    /// is closed with 4100. 60 s.
    pub overrun_timeout: Duration,
    /// Members (users, not connections) of one presence channel. 100 (Pusher).
    pub presence_members: usize,
    /// Characters of a presence member's user id. 128 (Pusher).
    pub presence_user_id_length: usize,
    /// Bytes of a presence member's user_info as JSON. 1,024 (Pusher).
    pub presence_user_info_bytes: usize,
    /// Users of a watchlist that count; those behind are left out, and 4302 reports it. 100
    /// (Pusher).
    pub watchlist_users: usize,
    /// Bytes that may wait for one connection because its socket did not take them, each
    /// message counted with what it takes to keep it; beyond, the connection is closed with
    /// 4100. 1 MiB.
    pub outbox_bytes: usize,
    /// Channels that one connection may be subscribed to. 1,000.
    pub channels_per_connection: usize,
    /// Bytes of one message from a client, reassembled; beyond, close 1009. 64 KiB.
    pub message_bytes: usize,
    /// Bytes of events kept for all cache channels of the app; the least recently used go
    /// first. 64 MiB.
    pub cache_bytes: usize,
    /// How long a cache channel keeps its last event. 30 minutes (Pusher).
    pub cache_ttl: Duration,
    /// Bytes of answers remembered for publishes with an idempotency key, all of the app's
    /// together; the oldest go first. 16 MiB.
    pub idempotency_bytes: usize,
    /// How far `auth_timestamp` of an HTTP request may be from the relay's clock, either way.
    /// 600 s (Pusher).
    pub auth_timestamp_window: Duration,
    /// Bytes of an HTTP request's body, never below [`Limits::full_batch_bytes`]. 1 MiB.
    pub http_body_bytes: usize,
    /// Deliveries (one event to one connection) that the app may have under way before its
    /// publishes wait. 262,144.
    pub publish_backlog: usize,
    /// How long a publish waits for room in the backlog before it is refused with 503. 2 s.
    pub publish_wait: Duration,
    /// Requests to the HTTP API a second; also how many may come at once; `None`, the default: no
    /// limit.
    pub requests_per_second: Option<u32>,
}

impl Limits {
    /// The most that `channel_name_length` can be set to.
    pub const MAX_CHANNEL_NAME_LENGTH: usize = 200;

    /// Bytes of a request body with the most and largest events that the other limits allow.
    /// Data is counted six times, as a publisher may escape every character (`\u0041`); each
    /// event has room for its name, channel and attributes.
    pub fn full_batch_bytes(&self) -> usize {
        const ATTRIBUTES: usize = 2048;
        let event = self
            .event_data_bytes
            .saturating_mul(6)
            .saturating_add(ATTRIBUTES);
        let many_channels = self
            .channels_per_event
            .saturating_mul(self.channel_name_length + 3);
        event
            .saturating_mul(self.batch_events)
            .max(event.saturating_add(many_channels))
    }
}

impl Limits {
    /// Bytes of a client's message that carries an event with the most data, in plain letters:
    /// with a smaller `message_bytes`, clients cannot send what `event_data_bytes` promises.
    pub fn full_client_event_bytes(&self) -> usize {
        let envelope = r#"{"event":"","channel":"","data":""}"#.len();
        self.event_data_bytes
            .saturating_add(self.event_name_length)
            .saturating_add(self.channel_name_length)
            .saturating_add(envelope)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: None,
            event_data_bytes: 10_240,
            event_name_length: 200,
            channel_name_length: 164,
            channels_per_event: 100,
            batch_events: 10,
            client_events_per_second: 10,
            messages_per_second: 100,
            overrun_timeout: Duration::from_secs(60),
            presence_members: 100,
            presence_user_id_length: 128,
            presence_user_info_bytes: 1024,
            watchlist_users: 100,
            outbox_bytes: 1 << 20,
            channels_per_connection: 1000,
            message_bytes: 64 << 10,
            cache_bytes: 64 << 20,
            cache_ttl: Duration::from_secs(30 * 60),
            idempotency_bytes: 16 << 20,
            auth_timestamp_window: Duration::from_secs(600),
            http_body_bytes: 1 << 20,
            publish_backlog: 256 << 10,
            publish_wait: Duration::from_secs(2),
            requests_per_second: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_body_takes_a_full_batch() {
        let limits = Limits::default();
        assert!(limits.full_batch_bytes() <= limits.http_body_bytes);
    }

    #[test]
    fn the_default_message_takes_a_full_client_event() {
        let limits = Limits::default();
        assert!(limits.full_client_event_bytes() <= limits.message_bytes);
    }

    #[test]
    fn one_event_to_many_channels_counts_as_much_as_a_batch() {
        let limits = Limits {
            batch_events: 1,
            channels_per_event: 100_000,
            ..Limits::default()
        };
        assert!(limits.full_batch_bytes() > 100_000 * 164);
    }
}
