//! What hostile clients send.

use std::time::Duration;

use clap::ValueEnum;

use crate::compare::server::{APP_ID, APP_KEY, APP_SECRET};
use crate::pusher::Credentials;
use crate::ws;

/// Members who are sent every coming and going in a presence channel.
pub(super) const AUDIENCE: usize = 99;
pub(super) const PRESENCE_CHANNEL: &str = "presence-hostile";
/// After an attack, until memory is looked at again.
pub(super) const SETTLE: Duration = Duration::from_secs(4);
/// Longer than a session of the HTTP fallback may be without a request that receives.
const SETTLE_OF_SESSIONS: Duration = Duration::from_secs(14);
/// Bytes that are prepared at a time.
const BATCH_BYTES: usize = 32 << 10;
const BODY_BYTES: usize = 1_000_000;
/// Connections that stay idle, and files that the server may have open.
const IDLE: u64 = 4000;
/// Batches of channels that nobody knows.
const INVENTED_BATCHES: usize = 512;

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Attack {
    /// `GET /up` over and over; the answers are never read
    PipelinedUnread,
    /// empty WebSocket pings; the pongs are never read
    PingsUnread,
    /// pusher:ping; the answers are never read
    MessagesUnread,
    /// pusher:subscribe of a channel that is joined
    Resubscribe,
    /// pusher:ping
    Messages,
    /// empty WebSocket pings
    Pings,
    /// pusher:subscribe and pusher:unsubscribe
    Pairs,
    /// text that is no JSON
    NoJson,
    /// pusher:subscribe with a wrong signature
    WrongSignature,
    /// joins and leaves of a presence channel of 99 others
    PresencePairs,
    /// 4,000 HTTP connections that stay idle, as many as the server may have open files
    IdleHttp,
    /// 200 unsigned publishes of 1 MB that never end
    Bodies,
    /// subscriptions of cache channels that nobody knows, beside a webhook of cache_miss
    CacheChannels,
    /// sessions of tokens that nobody has, each left without a goodbye at once
    GuessedTokens,
    /// a session of one token that all of them take from each other
    ContestedToken,
    /// sessions of the HTTP fallback that are opened and left, by polls and by streams
    HalfOpenSessions,
    /// messages of the largest size to sessions of the HTTP fallback that nobody has opened
    SendsToNobody,
    /// messages of the largest size to sessions of the HTTP fallback of their own
    SendsToOwn,
    /// WebSockets of one address that are opened and dropped, beyond the pace that it is allowed
    Connects,
    /// 1,300 WebSockets of one address that are held, beyond the number that it is allowed
    Connections,
    /// requests of one address to the HTTP API, beyond the rate that it is allowed
    Requests,
    /// TLS handshakes that are completed and dropped, beyond the pace of the workers
    Handshakes,
    /// 500 TLS handshakes that begin and go no further
    HalfHandshakes,
    /// requests over HTTP/2 that are reset at once
    Http2Resets,
    /// a head of HTTP/2 that never ends (CONTINUATION)
    Http2Continuation,
    /// SETTINGS of HTTP/2
    Http2Settings,
    /// PING of HTTP/2
    Http2Pings,
    /// `GET /up` over HTTP/2, 100 at a time
    Http2Streams,
    /// 50 connections of HTTP/2 with 100 publishes each, whose bodies come a byte a second
    Http2SlowBodies,
    /// 50 connections of HTTP/2 with 100 requests each that take nothing of their answers (a window of 0)
    Http2NoWindow,
}

impl Attack {
    /// Whether it is one on the limits of an address, from another one than that of the healthy, or on TLS.
    pub(super) fn is_at_the_edge(self) -> bool {
        self.is_over_tls()
            || matches!(
                self,
                Attack::Connects | Attack::Connections | Attack::Requests
            )
    }

    pub(super) fn is_on_sessions(self) -> bool {
        matches!(
            self,
            Attack::GuessedTokens
                | Attack::ContestedToken
                | Attack::HalfOpenSessions
                | Attack::SendsToNobody
                | Attack::SendsToOwn
        )
    }

    /// After it, until memory is looked at again.
    pub(super) fn settle(self) -> Duration {
        match self {
            Attack::HalfOpenSessions | Attack::SendsToOwn => SETTLE_OF_SESSIONS,
            _ => SETTLE,
        }
    }

    /// What the app has beyond the defaults, as TOML.
    pub(super) fn of_app(self) -> &'static str {
        match self {
            // No longer than it takes until memory is looked at again: what is kept for longer is not left behind.
            Attack::GuessedTokens | Attack::ContestedToken => "[apps.resume]\nwindow = 2\n",
            _ => "",
        }
    }

    pub(super) fn is_over_tls(self) -> bool {
        self.is_over_http2() || matches!(self, Attack::Handshakes | Attack::HalfHandshakes)
    }

    pub(super) fn is_over_http2(self) -> bool {
        matches!(
            self,
            Attack::Http2Resets
                | Attack::Http2Continuation
                | Attack::Http2Settings
                | Attack::Http2Pings
                | Attack::Http2Streams
                | Attack::Http2SlowBodies
                | Attack::Http2NoWindow
        )
    }

    /// The limits that are to hold. The healthy subscribers have one address, too, and keep within them.
    pub(super) fn limits(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Attack::Connects => &[
                ("FANFARE_SERVER__NEW_CONNECTIONS_PER_ADDRESS", "50"),
                ("FANFARE_SERVER__NEW_CONNECTIONS_BURST", "1200"),
            ],
            Attack::Connections => &[
                ("FANFARE_SERVER__CONNECTIONS_PER_ADDRESS", "1100"),
                ("FANFARE_SERVER__NEW_CONNECTIONS_PER_WORKER", "200"),
            ],
            Attack::Requests => &[("FANFARE_SERVER__REQUESTS_PER_ADDRESS", "200")],
            Attack::Handshakes => &[("FANFARE_SERVER__NEW_CONNECTIONS_PER_WORKER", "100")],
            Attack::HalfHandshakes => &[("FANFARE_TLS__HANDSHAKE_TIMEOUT", "2")],
            _ => &[],
        }
    }

    pub(super) fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_string())
    }

    pub(super) fn is_http(self) -> bool {
        matches!(
            self,
            Attack::PipelinedUnread | Attack::IdleHttp | Attack::Bodies
        )
    }

    /// Whether the answers are read.
    pub(super) fn reads(self) -> bool {
        !matches!(
            self,
            Attack::PipelinedUnread | Attack::PingsUnread | Attack::MessagesUnread
        )
    }

    /// Whether everything is sent once, and then held.
    pub(super) fn holds(self) -> bool {
        matches!(
            self,
            Attack::IdleHttp
                | Attack::Bodies
                | Attack::Connections
                | Attack::HalfHandshakes
                | Attack::Http2SlowBodies
                | Attack::Http2NoWindow
        )
    }

    /// How many connections make it, where one or some are silent.
    pub(super) fn fixed_connections(self) -> Option<usize> {
        match self {
            Attack::IdleHttp => Some(IDLE as usize),
            Attack::Bodies => Some(200),
            Attack::Connections => Some(1300),
            Attack::HalfHandshakes => Some(500),
            Attack::Http2SlowBodies | Attack::Http2NoWindow => Some(50),
            _ => None,
        }
    }

    /// The limit on open files that the server gets.
    pub(super) fn descriptors(self) -> Option<u64> {
        (self == Attack::IdleHttp).then_some(IDLE)
    }

    /// The bytes of some whiles, one after the other; none, if each connection repeats its own.
    pub(super) fn prepared(self) -> Vec<Vec<u8>> {
        match self {
            Attack::CacheChannels => (0..INVENTED_BATCHES).map(invented_channels).collect(),
            _ => Vec::new(),
        }
    }

    /// The bytes of a while, of a connection with this socket id.
    pub(super) fn batch(self, socket_id: &str) -> Vec<u8> {
        match self {
            Attack::PipelinedUnread => repeated(b"GET /up HTTP/1.1\r\nHost: a\r\n\r\n"),
            Attack::IdleHttp => b"GET /up HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
            Attack::Bodies => unsigned_publish(),
            Attack::PingsUnread | Attack::Pings => repeated(&frame(ws::PING, "")),
            Attack::NoJson => repeated(&frame(ws::TEXT, "no JSON")),
            _ => repeated(&self.messages(socket_id)),
        }
    }

    fn messages(self, socket_id: &str) -> Vec<u8> {
        let texts = match self {
            Attack::Resubscribe => vec![subscribe("hostile")],
            Attack::Pairs => vec![subscribe("hostile"), unsubscribe("hostile")],
            Attack::WrongSignature => vec![wrong_signature()],
            Attack::PresencePairs => {
                let joined = presence_subscribe(socket_id, "hostile");
                vec![joined, unsubscribe(PRESENCE_CHANNEL)]
            }
            _ => vec![r#"{"event":"pusher:ping","data":{}}"#.to_string()],
        };
        texts
            .iter()
            .flat_map(|text| frame(ws::TEXT, text))
            .collect()
    }
}

/// Joins the presence channel as this user.
pub(super) fn presence_subscribe(socket_id: &str, user: &str) -> String {
    let credentials = Credentials {
        app_id: APP_ID.into(),
        key: APP_KEY.into(),
        secret: APP_SECRET.into(),
    };
    let member = serde_json::json!({ "user_id": user }).to_string();
    credentials.subscribe(socket_id, PRESENCE_CHANNEL, Some(&member))
}

pub(super) fn frame(opcode: u8, text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    ws::encode(opcode, text.as_bytes(), Some([1, 2, 3, 4]), &mut bytes);
    bytes
}

fn subscribe(channel: &str) -> String {
    format!(r#"{{"event":"pusher:subscribe","data":{{"channel":"{channel}"}}}}"#)
}

fn unsubscribe(channel: &str) -> String {
    format!(r#"{{"event":"pusher:unsubscribe","data":{{"channel":"{channel}"}}}}"#)
}

fn wrong_signature() -> String {
    let signature = "0".repeat(64);
    format!(
        r#"{{"event":"pusher:subscribe","data":{{"channel":"private-hostile","auth":"{APP_KEY}:{signature}"}}}}"#
    )
}

fn unsigned_publish() -> Vec<u8> {
    let head = format!(
        "POST /apps/{APP_ID}/events HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
         Content-Length: {BODY_BYTES}\r\n\r\n"
    );
    let mut bytes = head.into_bytes();
    bytes.resize(bytes.len() + BODY_BYTES - 1, b'x');
    bytes
}

fn invented_channels(number: usize) -> Vec<u8> {
    let names = (0..200).map(|index| format!("cache-hostile-{number}-{index}"));
    names
        .flat_map(|name| {
            let mut bytes = frame(ws::TEXT, &subscribe(&name));
            bytes.extend(frame(ws::TEXT, &unsubscribe(&name)));
            bytes
        })
        .collect()
}

fn repeated(bytes: &[u8]) -> Vec<u8> {
    bytes.repeat((BATCH_BYTES / bytes.len()).max(1))
}
