//! How a silent client is asked whether it is there.

/// How a client is asked for a sign of life, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignOfLife {
    /// A WebSocket ping, and whatever arrives: every WebSocket library answers one, and many know
    /// no `pusher:ping`.
    Frame,
    /// `pusher:ping`, and messages only. A browser answers WebSocket pings also for a page that
    /// is frozen in the back/forward cache, whose user is not there.
    Message,
    /// A heartbeat of the HTTP fallback, and whatever arrives: all of it is sent by the page itself.
    Heartbeat,
}

impl SignOfLife {
    /// What to expect of a client that names itself so in its query. `protocol` is the version
    /// of the Pusher protocol that it speaks, if it names one.
    ///
    /// Only pusher-js runs in pages. It knows `pusher:ping` since version 5 of the protocol.
    pub fn of_client(client: Option<&str>, protocol: Option<u64>) -> Self {
        match client {
            Some("js") if protocol.is_none_or(|version| version >= 5) => Self::Message,
            _ => Self::Frame,
        }
    }
}
