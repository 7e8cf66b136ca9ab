//! The relay over TLS: which certificate whom is given, what is spoken, and that all else is as it is without.
//!
//! Clients of the harness speak TLS by a [`tunnel`]: they connect to it as to a plain server.

#![allow(
    clippy::unwrap_used,
    reason = "what clients and certificates are made of is part of each test"
)]

mod clients;
mod handshakes;
mod http2;
mod keys;
mod mistakes;
mod reload;
mod scanned;
mod server;
mod tunnel;
