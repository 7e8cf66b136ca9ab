//! Close codes: one table.

use std::fmt;

/// Why the relay closes a connection, or what a `pusher:error` reports. The range of a code
/// says what clients do (pusher-js): 4000–4099 stop for good, 4100–4199 retry after a second,
/// 4200–4299 retry at once, 4300–4399 stay connected. Codes below 4000 are RFC 6455's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u16)]
pub enum CloseCode {
    /// The peer closed in good order.
    Normal = 1000,
    /// The relay is going away, and nobody takes its place before it is back. Clients of every kind
    /// take it for a lost connection and retry after a second or less.
    GoingAway = 1001,
    /// A frame that RFC 6455 does not allow.
    ProtocolError = 1002,
    /// A binary message: the protocol is text only.
    Unsupported = 1003,
    /// Text that is not UTF-8.
    InvalidText = 1007,
    /// A message over the app's `message_bytes`.
    TooLarge = 1009,
    /// The key belongs to no app.
    UnknownApp = 4001,
    /// The app is disabled.
    AppDisabled = 4003,
    /// The app's `max_connections` is reached.
    OverConnectionQuota = 4004,
    /// The path is not `/app/{key}`.
    PathNotFound = 4005,
    /// `protocol` is not a number.
    InvalidVersion = 4006,
    /// `protocol` is not one of those served.
    UnsupportedProtocol = 4007,
    /// Neither `protocol` nor `version` was given.
    NoProtocol = 4008,
    /// A failed sign-in, a foreign origin, or no authorisation in time.
    Unauthorized = 4009,
    /// The relay is full, or this client takes its events too slowly.
    OverCapacity = 4100,
    /// Connect again: other nodes take over from this one, which is going away; or the keys of a connection over TLS 1.2
    /// are used up.
    Reconnect = 4200,
    /// The client answered no ping.
    PongTimeout = 4201,
    /// A client event was rejected.
    ClientEventRejected = 4301,
    /// A watchlist names more users than count.
    WatchlistLimit = 4302,
}

impl CloseCode {
    /// Every code, for tables such as the metrics' label values.
    pub const ALL: [Self; 19] = [
        Self::Normal,
        Self::GoingAway,
        Self::ProtocolError,
        Self::Unsupported,
        Self::InvalidText,
        Self::TooLarge,
        Self::UnknownApp,
        Self::AppDisabled,
        Self::OverConnectionQuota,
        Self::PathNotFound,
        Self::InvalidVersion,
        Self::UnsupportedProtocol,
        Self::NoProtocol,
        Self::Unauthorized,
        Self::OverCapacity,
        Self::Reconnect,
        Self::PongTimeout,
        Self::ClientEventRejected,
        Self::WatchlistLimit,
    ];

    /// The code with this number on the wire.
    pub fn of(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.code() == code)
    }

    /// The number on the wire.
    pub fn code(self) -> u16 {
        self as u16
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reference_page_lists_every_code() {
        let page = include_str!("../../docs/close-codes.md");
        let code = |line: &str| line.strip_prefix("| ")?.split(' ').next()?.parse().ok();
        let listed: Vec<u16> = page.lines().filter_map(code).collect();
        assert_eq!(listed, CloseCode::ALL.map(CloseCode::code));
    }
}
