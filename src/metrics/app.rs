//! What each app does on this node.

use super::declare::{Counter, CounterBy, Gauge, GaugeBy, metrics};
use super::labels::{
    AppTable, ClosedWith, CompressionOutcome, CompressionStage, FallbackTransport, InflateRefusal,
    MessageKind, NotResumed, PublishRefusal, WebhookDrop, WebhookOutcome,
};

metrics! {
    /// The numbers of one app on this node, labelled `app`. Gauges are 0 when nobody is
    /// connected, but for `cached_bytes`, which a cached event keeps up until it expires.
    pub struct AppMetrics {
        /// Open connections: WebSockets, and those that HTTP requests carry.
        connections: Gauge = "fanfare_connections",
        /// Channels with at least one subscriber.
        channels: Gauge = "fanfare_channels",
        /// Subscriptions: pairs of a connection and a channel.
        subscriptions: Gauge = "fanfare_subscriptions",
        /// Users with at least one signed-in connection.
        users: Gauge = "fanfare_users",
        /// Open connections that HTTP requests carry; they are among fanfare_connections, too.
        fallback_sessions: Gauge = "fanfare_fallback_sessions",
        /// Sessions whose clients are away and may come back; they are not among fanfare_connections.
        parked_sessions: Gauge = "fanfare_parked_sessions",
        /// Bytes that are kept for clients that are away.
        parked_bytes: Gauge = "fanfare_parked_bytes",
        /// Sessions whose clients came back in time.
        resumed: Counter = "fanfare_sessions_resumed_total",
        /// Sessions that ended because their client was away for too long, or because too many were.
        not_resumed: CounterBy<NotResumed> = "fanfare_sessions_not_resumed_total",
        /// Frames that were sent again to clients that came back.
        resent: Counter = "fanfare_resent_total",
        /// Times that a client that came back was notified that it has missed something (fanfare:gap).
        resume_gaps: Counter = "fanfare_resume_gaps_total",
        /// Connections that were established.
        connections_opened: Counter = "fanfare_connections_opened_total",
        /// Connections that were established and are carried by HTTP requests, by transport.
        fallback_opened: CounterBy<FallbackTransport> = "fanfare_fallback_opened_total",
        /// Connections that ended, by close code.
        closes: CounterBy<ClosedWith> = "fanfare_closes_total",

        /// Messages received from clients.
        messages_received: Counter = "fanfare_messages_received_total",
        /// Bytes of messages received from clients, without WebSocket framing.
        received_bytes: Counter = "fanfare_received_bytes_total",
        /// Messages sent to clients, each delivery of an event counted.
        messages_sent: Counter = "fanfare_messages_sent_total",
        /// Bytes sent to clients, with WebSocket framing.
        sent_bytes: Counter = "fanfare_sent_bytes_total",

        /// WebSockets whose client has agreed on compression (permessage-deflate).
        compression_negotiated: Counter = "fanfare_compression_negotiated_total",
        /// Events that were compressed, each once for all its subscribers, by whether that made them smaller.
        frames_compressed: CounterBy<CompressionOutcome> = "fanfare_frames_compressed_total",
        /// Bytes of the events that compression made smaller, before and after.
        compression_bytes: CounterBy<CompressionStage> = "fanfare_compression_bytes_total",
        /// Bytes that were not sent to clients since events were compressed, each delivery counted.
        compression_saved_bytes: Counter = "fanfare_compression_saved_bytes_total",
        /// Compressed messages received from clients; fanfare_received_bytes_total counts what they were inflated to.
        messages_inflated: Counter = "fanfare_messages_inflated_total",
        /// Compressed messages from clients that were refused, by reason. The connection was closed.
        inflate_refused: CounterBy<InflateRefusal> = "fanfare_inflate_refused_total",

        /// Events accepted over HTTP, counted once for each channel.
        publishes: Counter = "fanfare_publishes_total",
        /// HTTP publishes that were refused, by reason.
        publishes_refused: CounterBy<PublishRefusal> = "fanfare_publishes_refused_total",
        /// Client events that were forwarded.
        client_events: Counter = "fanfare_client_events_total",
        /// Client events that were refused: not allowed there, too many, or too large.
        client_events_refused: Counter = "fanfare_client_events_refused_total",

        /// Subscriptions that were refused.
        subscription_errors: Counter = "fanfare_subscription_errors_total",
        /// Messages from clients that were answered with pusher:error.
        protocol_errors: Counter = "fanfare_protocol_errors_total",
        /// Connections closed because they took their events too slowly.
        outbox_overflows: Counter = "fanfare_outbox_overflows_total",
        /// Times that a connection that sent too much was read no further for a while, by the kind of message.
        reads_paused: CounterBy<MessageKind> = "fanfare_reads_paused_total",
        /// Connections closed because they sent too much for too long, by the kind of message.
        overruns: CounterBy<MessageKind> = "fanfare_overruns_total",
        /// Connections closed because their socket took nothing, or too little, for write_timeout.
        write_timeouts: Counter = "fanfare_write_timeouts_total",

        /// Bytes that the last events of cache channels take up.
        cached_bytes: Gauge = "fanfare_cached_bytes",
        /// Cached events dropped before they expired, to make room.
        cache_evictions: Counter = "fanfare_cache_evictions_total",
        /// Answers to publishes with an idempotency key dropped before they expired, to make room.
        idempotency_evictions: Counter = "fanfare_idempotency_evictions_total",

        /// Entries of the app's tables that grow with what clients do, by table. Each is bounded.
        table_entries: GaugeBy<AppTable> = "fanfare_app_table_entries",

        /// Events that wait to be sent to webhooks, counted once for each webhook.
        webhook_events_waiting: Gauge = "fanfare_webhook_events_waiting",
        /// Events that webhooks have taken.
        webhook_events_sent: Counter = "fanfare_webhook_events_sent_total",
        /// Events that never reached a webhook, by reason.
        webhook_events_dropped: CounterBy<WebhookDrop> = "fanfare_webhook_events_dropped_total",
        /// Cache misses that another one of the same channel stood for, which was sent within a second.
        webhook_cache_misses_joined: Counter = "fanfare_webhook_cache_misses_joined_total",
        /// Requests to webhooks, by what became of them.
        webhook_requests: CounterBy<WebhookOutcome> = "fanfare_webhook_requests_total",
    }
}

impl AppMetrics {
    /// What went wrong, for clients and publishers: refusals, and connections that were closed for what they did.
    pub fn errors(&self) -> u64 {
        self.publishes_refused.sum()
            + self.client_events_refused.get()
            + self.subscription_errors.get()
            + self.protocol_errors.get()
            + self.outbox_overflows.get()
            + self.overruns.sum()
            + self.write_timeouts.get()
    }
}
