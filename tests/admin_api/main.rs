//! The admin API, and what keeps strangers from it, seen from outside: the binary, run.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod apps;
mod changes;
mod channels;
mod cluster;
mod connections;
mod doctor;
mod document;
mod events;
mod flood;
mod node;
mod pages;
mod schema;
mod stream;
mod support;
mod tail;
mod tokens;
mod webhooks;
