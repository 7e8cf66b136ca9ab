//! What a connection is like, for people who look.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use crate::protocol::{ChannelName, SocketId};

/// What a connection is like at a moment.
#[derive(Clone, Debug)]
pub struct ConnectionReport {
    /// Its id in the protocol.
    pub socket_id: SocketId,
    /// When it was established, to the second.
    pub connected_at: SystemTime,
    /// Where its client is; None: on this machine, by a Unix socket.
    pub address: Option<IpAddr>,
    /// The user that it is signed in as.
    pub user_id: Option<Arc<str>>,
    /// What carries it.
    pub carried_by: CarriedBy,
    /// Whether events to it may be compressed.
    pub compressed: bool,
    /// How many channels it is on.
    pub subscriptions: usize,
    /// What waits for its client, in bytes, with what it takes to keep it.
    pub waiting_bytes: usize,
    /// The channels that it is on, and as which member, if that was asked for.
    pub channels: Option<Vec<(ChannelName, Option<Arc<str>>)>>,
}

/// What carries a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CarriedBy {
    /// A WebSocket.
    WebSocket,
    /// A WebSocket over the relay's own TLS.
    WebSocketOverTls,
    /// Answers that do not end.
    Streaming,
    /// One answer after the other.
    Polling,
    /// Nothing for now: its client is away, and may come back.
    Nothing,
}
