//! What goes over the wire, and what comes of the answers: against a server that answers as a test says.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[cfg(feature = "ably")]
mod ably;
mod blocking;
mod bodies;
mod failures;
mod https;
mod limits;
mod retries;
mod server;
mod signatures;
