//! What a connection may take its time for.

use std::time::Duration;

/// Times that are the same for every connection of the relay.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Silence after which the relay asks whether anybody is there.
    pub activity: Duration,
    /// How long it waits for the answer.
    pub pong: Duration,
    /// How long a message may take from its first byte to its last.
    pub message: Duration,
    /// How long a socket may take nothing of what waits for it.
    pub write: Duration,
    /// How long a client may take to receive and to answer a close.
    pub close: Duration,
}
