//! The Pusher HTTP API and the health checks.
//!
//! Source: Pusher Channels HTTP API reference.
//!
//! - [`service`]: the entry of every request
//! - [`body`]: reading what comes with it
//! - [`route`]: what a path asks for
//! - [`pages`]: which web pages are kept out
//! - [`verified`]: requests whose signature was checked; the API's handlers take no others
//! - [`publish`], [`event`]: publishing, and an event as it comes in
//! - [`refused`]: what a publish that was refused was for
//! - [`idempotency`]: publishes that carry a key; [`fingerprint`]: whether they are the same
//! - [`info`]: attributes of channels that callers may ask for
//! - [`channels`], [`users`]: queries and users
//! - [`health`]: what load balancers look at
//! - [`answer`]: what is answered
//! - [`error`]: what is wrong with a request

mod answer;
mod body;
mod channels;
mod error;
mod event;
mod fingerprint;
mod health;
mod idempotency;
mod info;
mod pages;
mod publish;
mod refused;
mod route;
mod service;
mod users;
mod verified;

pub use error::Rejected;
pub use publish::publish_unsigned;
pub use service::{Api, ApiSettings, configure};
