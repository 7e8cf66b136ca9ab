//! A listener that is bound.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;

/// Connections that may wait to be accepted: a whole site that reconnects at once.
pub(super) const BACKLOG: i32 = 4096;

/// A bound listener of clients.
#[derive(Debug)]
pub(super) struct Public {
    /// Where, for people.
    pub(super) name: String,
    pub(super) socket: PublicSocket,
    /// Whether each connection begins with a header of the PROXY protocol.
    pub(super) proxy_protocol: bool,
}

#[derive(Debug)]
pub(super) enum PublicSocket {
    Tcp(TcpListener),
    /// The file goes with its holder.
    Unix(UnixListener),
}
