//! Sessions that outlive their connection.

use std::time::Duration;

/// For how long, and with how much, the app's sessions outlive their connections, of clients that name
/// themselves with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resume {
    /// How long a client may be away; zero: no session outlives its connection. 60 s.
    pub window: Duration,
    /// Sessions whose clients are away at one time. 10,000.
    pub sessions: usize,
    /// Bytes of events that may be sent again to one client; beyond, it is notified of how many it has missed.
    /// 4 MiB.
    pub session_bytes: usize,
    /// Bytes that may be kept for all clients that are away: 1 KiB for each, 2 KiB for each of its
    /// subscriptions, and the events of their channels, once for all who are away from one. 256 MiB.
    pub bytes: usize,
}

impl Resume {
    /// Whether any session may outlive its connection.
    pub fn is_on(&self) -> bool {
        !self.window.is_zero() && self.sessions > 0
    }
}

impl Default for Resume {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(60),
            sessions: 10_000,
            session_bytes: 4 << 20,
            bytes: 256 << 20,
        }
    }
}
