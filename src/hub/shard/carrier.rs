//! What takes a connection's frames to its client.

use std::os::fd::{AsRawFd as _, RawFd};

use tokio::net::tcp::OwnedWriteHalf;

use crate::tls::{WriteHalf, Writer};

/// Stands for the descriptor of a socket over TLS: it is not to be written to as it is.
pub(super) const SEALED: RawFd = -2;

/// What takes a connection's frames to its client. All else about a connection is the same,
/// whatever carries it.
#[derive(Debug)]
pub enum Carrier {
    /// A WebSocket, to which frames are written at once, as far as its socket takes them.
    Socket(OwnedWriteHalf),
    /// A WebSocket over TLS: the same, but for what sealing takes.
    Tls(Box<Writer>),
    /// HTTP requests, one after the other. Frames wait in the outbox until the connection's task
    /// takes them (`Peer::take_frames`).
    Requests(Fallback),
    /// Nothing, for now: the client is away and may come back.
    None,
}

impl Carrier {
    /// The descriptor of its socket; -1 if it has none, [`SEALED`] if it is not to be written to as it is.
    pub(super) fn descriptor(&self) -> RawFd {
        match self {
            Self::Socket(socket) => socket.as_ref().as_raw_fd(),
            Self::Tls(_) => SEALED,
            Self::Requests(_) | Self::None => -1,
        }
    }
}

impl From<WriteHalf> for Carrier {
    fn from(half: WriteHalf) -> Self {
        match half {
            WriteHalf::Plain(half) => Self::Socket(half),
            WriteHalf::Tls(writer) => Self::Tls(writer),
        }
    }
}

/// A way to carry a connection by HTTP requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// An answer that does not end.
    Streaming,
    /// One answer after the other, each to a request that waits for it.
    Polling,
}

impl Fallback {
    /// Its name in pusher-js.
    pub fn name(self) -> &'static str {
        match self {
            Self::Streaming => "xhr_streaming",
            Self::Polling => "xhr_polling",
        }
    }
}

/// Whether a session may outlive what carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlives {
    /// It ends with its carrier.
    No,
    /// Its client may come back for it.
    Carrier,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_carrier_takes_no_more_than_a_websocket() {
        assert_eq!(size_of::<Carrier>(), size_of::<OwnedWriteHalf>());
    }
}
