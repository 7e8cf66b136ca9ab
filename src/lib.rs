//! Fanfare: a self-hosted broadcast relay that speaks the Pusher Channels protocol.
//!
//! A listing of this folder is the architecture; ARCHITECTURE.md walks through it. A module
//! imports only those above it in this list, which a test holds it to.

pub mod protocol;

pub mod auth;

pub mod apps;

pub mod metrics;

pub mod tap;

pub mod net;

pub mod departures;

pub mod throttle;

pub mod session;

pub mod webhooks;

pub mod hub;

pub mod cluster;

pub mod relay;

pub mod ingest;

pub mod admission;

pub mod resume;

pub mod ws;

pub mod fallback;

pub mod http;

pub mod admin;

pub mod config;

pub mod server;

pub mod cli;
