//! The closed sets that label values come from.

use std::sync::Arc;

use super::declare::{Label, LabelSet, label};
use crate::protocol::CloseCode;
use crate::protocol::channel::Access;

label! {
    /// Why an event that came over HTTP was not published.
    pub enum PublishRefusal = "reason" {
        /// Signature, key or timestamp did not verify (401).
        Unauthorized = "unauthorized",
        /// The app is disabled (403).
        AppDisabled = "app_disabled",
        /// A web page asked, with a secret that everybody knows (403, 421).
        ForeignPage = "foreign_page",
        /// A field is missing or wrong (400).
        Invalid = "invalid",
        /// Body or event data over the limit (413).
        TooLarge = "too_large",
        /// The backlog of deliveries stayed full (503).
        Backlog = "backlog",
        /// The app or the address makes more requests than it may (429).
        RateLimit = "rate_limit",
    }
}

label! {
    /// What came of reading the configuration again.
    pub enum Reload = "outcome" {
        /// Apps have come, changed or gone.
        Applied = "applied",
        /// All apps are as they were.
        Unchanged = "unchanged",
        /// It cannot be used: what was read before holds.
        Failed = "failed",
    }
}

label! {
    /// Why the admin listener refused a request.
    pub enum AdminRefusal = "reason" {
        /// No token was shown (401).
        MissingToken = "missing_token",
        /// The token is none of those that there are (401).
        WrongToken = "wrong_token",
        /// The address has shown too many wrong ones (429).
        Paced = "paced",
        /// The token may only look (403).
        Role = "role",
        /// The host name is none of the listener's, as with DNS rebinding (421).
        ForeignHost = "foreign_host",
        /// A web page of another site asked (403).
        ForeignPage = "foreign_page",
    }
}

label! {
    /// Whose limit refused an HTTP request.
    pub enum RequestLimit = "reason" {
        /// The app's `requests_per_second`.
        App = "app",
        /// `server.requests_per_address`.
        Address = "address",
    }
}

label! {
    /// Why a message that came in over Redis was not delivered.
    pub enum IngestRefusal = "reason" {
        /// Not a JSON object.
        NotJson = "not_json",
        /// The event's name is missing or none that may be published.
        EventName = "event_name",
        /// What stands behind the prefix is no channel's name.
        ChannelName = "channel_name",
        /// The data is missing or no text.
        Data = "data",
        /// The data is over the limit.
        TooLarge = "too_large",
        /// Too much was waiting to be delivered.
        Backlog = "backlog",
    }
}

label! {
    /// What came of ordering a certificate.
    pub enum AcmeOrder = "result" {
        /// One was issued.
        Issued = "issued",
        /// Another node of the cluster ordered it.
        Received = "received",
        /// The directory was not reached, or has trouble of its own.
        Unreachable = "unreachable",
        /// It wants fewer requests.
        RateLimited = "rate_limited",
        /// It did not accept the order, or the proof that a name is ours.
        Refused = "refused",
        /// It answered what cannot be used.
        Unusable = "unusable",
    }
}

label! {
    /// A table of the process that grows with what clients, or an authority of certificates, ask for. Each is bounded.
    pub enum Table = "table" {
        /// Addresses that have connections (`server.connections_per_address`).
        ConnectionsPerAddress = "connections_per_address",
        /// Addresses that have connected lately (`server.new_connections_per_address`).
        NewConnectionsPerAddress = "new_connections_per_address",
        /// Addresses that have made requests lately (`server.requests_per_address`).
        RequestsPerAddress = "requests_per_address",
        /// Addresses that have shown the admin listener wrong tokens lately.
        AdminWrongTokens = "admin_wrong_tokens",
        /// Handshakes under way (TLS).
        TlsHandshakes = "tls_handshakes",
        /// Connections that HTTP requests carry.
        FallbackSessions = "fallback_sessions",
        /// Tokens of sessions that may be resumed.
        ResumeTokens = "resume_tokens",
        /// Answers that an authority may ask for over HTTP (`http-01`).
        AcmeAnswers = "acme_answers",
        /// Names that an authority may ask for over TLS (`tls-alpn-01`).
        AcmeChallenges = "acme_challenges",
    }
}

label! {
    /// A table of one app that grows with what clients do. Each is bounded.
    pub enum AppTable = "table" {
        /// Channels and members that are reported as gone to webhooks unless they are back in time.
        WebhookDepartures = "webhook_departures",
        /// Channels whose cache misses are joined.
        WebhookCacheMisses = "webhook_cache_misses",
    }
}

label! {
    /// Why a connection was refused before it belonged to an app.
    pub enum ConnectionRefusal = "reason" {
        /// The key belongs to no app (4001).
        UnknownKey = "unknown_key",
        /// The key belongs to no app that is known, and the database of apps cannot be read (4100).
        AppsUnknown = "apps_unknown",
        /// The path is none that is served (4005).
        UnknownPath = "unknown_path",
        /// As many connections are open as descriptors allow (4100).
        Capacity = "capacity",
        /// The address has as many connections as it may (4100).
        Address = "address",
        /// The address connects too often (4100).
        AddressRate = "address_rate",
        /// The process has used up its memory (4100).
        Memory = "memory",
        /// The relay is stopping (503).
        Draining = "draining",
        /// The relay has not reached the other nodes yet (503).
        NotReady = "not_ready",
        /// The node takes publishes only (421).
        Role = "role",
        /// Not a WebSocket handshake (400).
        BadHandshake = "bad_handshake",
    }
}

label! {
    /// Why a connection that must begin with a header of the PROXY protocol was closed.
    pub enum ProxyHeaderRefusal = "reason" {
        /// It began with something else.
        Malformed = "malformed",
        /// No header came in time.
        Timeout = "timeout",
        /// It came from none of the trusted proxies.
        Untrusted = "untrusted",
    }
}

label! {
    /// Why a session ended whose client was away.
    pub enum NotResumed = "reason" {
        /// It was away for longer than the window.
        Expired = "expired",
        /// As many were away as may be.
        Full = "full",
    }
}

label! {
    /// How HTTP requests carry a connection.
    pub enum FallbackTransport = "transport" {
        /// `xhr_streaming`
        Streaming = "xhr_streaming",
        /// `xhr_polling`
        Polling = "xhr_polling",
    }
}

label! {
    /// What came of compressing an event.
    pub enum CompressionOutcome = "outcome" {
        /// It is sent compressed to those who take it so.
        Smaller = "smaller",
        /// It is sent as it is.
        NotSmaller = "not_smaller",
    }
}

label! {
    /// Before or after compression.
    pub enum CompressionStage = "stage" {
        /// As it was.
        Before = "before",
        /// Compressed.
        After = "after",
    }
}

label! {
    /// Why a compressed message was refused.
    pub enum InflateRefusal = "reason" {
        /// It would become longer than a message may be (1009).
        TooLarge = "too_large",
        /// It is not what DEFLATE makes (1007).
        Invalid = "invalid",
    }
}

label! {
    /// What an HTTP connection waited for when it was closed to make room for others.
    pub enum HttpClosedWhile = "reason" {
        /// For the next request.
        Idle = "idle",
        /// For the head of a request.
        Head = "head",
        /// For the rest of a request, its answer, or the peer to take the answer.
        Request = "request",
    }
}

label! {
    /// Why HTTP/2 was refused to a client.
    pub enum Http2Refusal = "reason" {
        /// It reset too many requests before they were answered: the connection was ended.
        Resets = "resets",
        /// It sent too many frames that belong to no request, such as PING and SETTINGS: the connection was ended.
        Frames = "frames",
        /// It sent too much else that costs more than it carries: the connection was ended.
        Flood = "flood",
        /// What it sent was not HTTP/2: the connection was ended.
        Malformed = "malformed",
        /// The worker had too many requests at a time: the request was refused, and may be made again.
        NoRoom = "no_room",
    }
}

label! {
    /// What became of a TLS handshake.
    pub enum TlsHandshake = "outcome" {
        /// A new session.
        Full = "full",
        /// One that the client had before.
        Resumed = "resumed",
        /// An authority was shown that the host is ours.
        Challenge = "acme_challenge",
        /// The client took longer than tls.handshake_timeout.
        Timeout = "timeout",
        /// Too many were under way, and this one for longest.
        Displaced = "displaced",
        /// The client went away.
        Gone = "gone",
        /// The client spoke plain HTTP.
        PlainHttp = "plain_http",
        /// There is no version, cipher or protocol that both speak.
        Incompatible = "incompatible",
        /// The client ended it with an alert: it may not trust the certificate.
        Refused = "refused",
        /// There is no certificate for the client.
        NoCertificate = "no_certificate",
        /// What the client sent is not TLS, or broken.
        Malformed = "malformed",
    }
}

label! {
    /// Why events that other nodes published never reached this one.
    pub enum EventLoss = "reason" {
        /// The channel's log did not have them any more.
        Expired = "expired",
        /// The channel's log did not have them any more, and how many they were is not known: one is counted.
        Uncounted = "uncounted",
        /// Redis had lost its memory before the node has read them: as many, at least, as the nodes have handed in
        /// that wrote them. Or another log had begun for longer than nodes keep events for each other, and how many were
        /// lost is not known: one is counted.
        Forgotten = "forgotten",
    }
}

label! {
    /// Who may listen to a channel.
    pub enum LossOn = "kind" {
        /// Anyone.
        Public = "public",
        /// `private-`.
        Private = "private",
        /// `private-encrypted-`.
        Encrypted = "encrypted",
        /// `presence-`.
        Presence = "presence",
        /// A user's connections.
        User = "user",
    }
}

impl EventLoss {
    /// Whether it is known how many were lost, at least.
    pub fn is_counted(self) -> bool {
        self != Self::Uncounted
    }
}

impl LossOn {
    /// The name of the kind.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::Encrypted => "encrypted",
            Self::Presence => "presence",
            Self::User => "user",
        }
    }
}

impl From<Access> for LossOn {
    fn from(access: Access) -> Self {
        match access {
            Access::Public => Self::Public,
            Access::Private => Self::Private,
            Access::Encrypted => Self::Encrypted,
            Access::Presence => Self::Presence,
            Access::ServerToUser => Self::User,
        }
    }
}

label! {
    /// What a client sent.
    pub enum MessageKind = "kind" {
        /// `pusher:ping` and `pusher:pong`.
        Ping = "ping",
        /// WebSocket pings and pongs.
        Control = "control",
        /// A part of a message.
        Fragment = "fragment",
        /// `pusher:subscribe`.
        Subscribe = "subscribe",
        /// `pusher:unsubscribe`.
        Unsubscribe = "unsubscribe",
        /// Coming to and leaving presence channels, for what their members are sent.
        Presence = "presence",
        /// `pusher:signin`.
        Signin = "signin",
        /// A client event that was refused.
        ClientEvent = "client_event",
        /// What is no message of the protocol.
        Malformed = "malformed",
    }
}

label! {
    /// What became of a request to a webhook.
    pub enum WebhookOutcome = "outcome" {
        /// A status from 200 to 299.
        Ok = "ok",
        /// Any other status.
        Refused = "refused",
        /// No answer in time.
        Timeout = "timeout",
        /// No connection, or one that broke off before the answer.
        Unreachable = "unreachable",
    }
}

label! {
    /// Why an event never reached a webhook.
    pub enum WebhookDrop = "reason" {
        /// Too much waited for the webhook already.
        Backlog = "backlog",
        /// It was of a public channel, and half of what may wait was so already.
        PublicBacklog = "public_backlog",
        /// It kept failing until it was too old to be tried again.
        Expired = "expired",
        /// The relay stopped before it could be sent.
        Shutdown = "shutdown",
        /// The webhook is configured no longer.
        Removed = "removed",
    }
}

label! {
    /// What an HTTP request on the public listener was for.
    pub enum Route = "route" {
        /// `POST /apps/{id}/events`
        Events = "events",
        /// `POST /apps/{id}/batch_events`
        BatchEvents = "batch_events",
        /// `GET /apps/{id}/channels`
        Channels = "channels",
        /// `GET /apps/{id}/channels/{channel}`
        Channel = "channel",
        /// `GET /apps/{id}/channels/{channel}/users`
        ChannelUsers = "channel_users",
        /// `POST /apps/{id}/users/{user_id}/terminate_connections`
        TerminateConnections = "terminate_connections",
        /// `POST /apps/{id}/users/{user_id}/force_reconnect`
        ForceReconnect = "force_reconnect",
        /// `/app/{key}/{server}/{session}/…`: the HTTP fallback
        Fallback = "fallback",
        /// `/`, `/up`, `/health`, `/ready`
        Health = "health",
        /// Everything else.
        Other = "other",
    }
}

label! {
    /// The first digit of an HTTP status.
    pub enum StatusClass = "status" {
        /// 100–199
        Informational = "1xx",
        /// 200–299
        Success = "2xx",
        /// 300–399
        Redirection = "3xx",
        /// 400–499
        ClientError = "4xx",
        /// 500 and above
        ServerError = "5xx",
    }
}

impl From<u16> for StatusClass {
    fn from(status: u16) -> Self {
        match status {
            0..=199 => Self::Informational,
            200..=299 => Self::Success,
            300..=399 => Self::Redirection,
            400..=499 => Self::ClientError,
            500.. => Self::ServerError,
        }
    }
}

/// How a connection ended: a code that the relay closes with (1001 is also that of a browser that
/// left the page), any other code, or none, when the connection just broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClosedWith(Option<u16>);

impl ClosedWith {
    const OTHER: usize = CloseCode::ALL.len();
    const NONE: usize = CloseCode::ALL.len() + 1;
}

impl From<Option<u16>> for ClosedWith {
    fn from(code: Option<u16>) -> Self {
        Self(code)
    }
}

impl From<CloseCode> for ClosedWith {
    fn from(code: CloseCode) -> Self {
        Self(Some(code.code()))
    }
}

impl LabelSet for ClosedWith {
    const COUNT: usize = CloseCode::ALL.len() + 2;

    fn all() -> Vec<Vec<Label>> {
        let known = CloseCode::ALL.iter().map(|code| code.code());
        let numbers = known.map(|code| code.to_string());
        let words = ["other", "none"].map(str::to_owned);
        let label = |value: String| vec![("code", Arc::from(value))];
        numbers.chain(words).map(label).collect()
    }

    fn index(self) -> usize {
        let Some(code) = self.0 else {
            return Self::NONE;
        };
        let known = CloseCode::ALL.iter().position(|known| known.code() == code);
        known.unwrap_or(Self::OTHER)
    }
}
