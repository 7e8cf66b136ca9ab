//! Certificates from an authority: a real one for tests (Pebble, of Let's Encrypt), and one that does not keep to the
//! protocol.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod clock;
mod cluster;
mod dns;
mod kept;
mod liar;
mod orders;
mod pebble;
mod process;
mod served;
mod support;
mod trouble;
#[expect(dead_code, reason = "tests/tls looks at more of a handshake")]
#[path = "../tls/tunnel.rs"]
mod tunnel;
