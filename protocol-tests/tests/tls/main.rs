//! The relay over TLS: which certificate whom is given, what is spoken, and that all else is as it is without.
//!
//! Clients of the harness speak TLS by a [`tunnel`]: they connect to it as to a plain server.

mod clients;
mod handshakes;
mod mistakes;
mod reload;
mod server;
mod tunnel;
