//! Webhooks: what an app's backend is sent, when, how often, and what becomes of it when the endpoint fails.
//!
//! The endpoint is this harness's own (`protocol_tests::Receiver`), which holds every single request to the rules of
//! signatures, ids, shapes and order.

mod backlog;
mod batches;
mod broken_connections;
mod cache_misses;
mod client_events;
mod configuration;
mod delivery;
mod independence;
mod journal;
mod leave_delay;
mod memory;
mod payloads;
mod presence_reload;
mod redirects;
mod retries;
mod secrecy;
mod shutdown;
mod subscription_counts;
mod support;
mod targets;
mod transitions;
