//! What goes over the wire, and what comes of the answers: against a server that answers as a test says.

#[cfg(feature = "ably")]
mod ably;
mod bodies;
mod failures;
mod limits;
mod retries;
mod server;
mod signatures;
