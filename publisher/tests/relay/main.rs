//! The client, the authoriser and the webhook verifier against a real relay and the official libraries.
//!
//! The relay is `fanfare`, as the `protocol-tests` start it: `cargo build` makes it. Node.js and
//! the libraries come with `make setup`.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod authorization;
mod broadcast;
mod https;
mod lost_answer;
mod node;
mod official_libraries;
mod publish;
mod queries;
mod support;
mod users;
mod webhooks;
