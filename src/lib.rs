//! Fanfare: a self-hosted broadcast relay that speaks the Pusher Channels protocol.
//!
//! A listing of this folder is the architecture; ARCHITECTURE.md walks through it. A module
//! imports only those above it in this list, which a test holds it to.
//!
//! The crate is a program, [`main`]; what `pub` means in its modules is: for the other modules.

#![allow(
    unreachable_pub,
    reason = "`pub(super)` and `pub(crate)` mean less than all modules, `pub` means all of them"
)]

mod protocol;

mod auth;

mod apps;

mod metrics;

mod tap;

mod net;

mod memory;

mod stamp;

mod tls;

mod clients;

mod departures;

mod throttle;

mod terminal;

mod state;

mod acme;

mod session;

mod webhooks;

mod hub;

mod cluster;

mod relay;

mod ingest;

mod database;

mod admission;

mod resume;

mod ws;

mod fallback;

mod http;

mod doctor;

mod admin;

mod config;

mod server;

mod cli;

pub use cli::main;

/// What the targets of `fuzz/` run.
#[cfg(feature = "fuzzing")]
pub mod fuzzing {
    pub use crate::apps::{App, Registry};
    pub use crate::auth::Signer;
    pub use crate::auth::request::{
        Query, RequestAuthError, Rules, SignedRequest, check_body, sign, verify,
    };
    pub use crate::clients::Clients;
    pub use crate::cluster::Local;
    pub use crate::cluster::redis::fuzzing::{answer as redis_answer, entry as redis_entry};
    pub use crate::config::{EnvFile, Sources, load as load_config};
    pub use crate::fallback::fuzzing::fallback_body;
    pub use crate::http::{Api, ApiSettings, configure as configure_api};
    pub use crate::hub::Hub;
    pub use crate::ingest::laravel_redis::fuzzing::message as laravel_message;
    pub use crate::metrics::{Gauge, Metrics};
    pub use crate::net::budget::Budget;
    pub use crate::net::fuzzing::proxy_header;
    pub use crate::net::memory::Ceiling;
    pub use crate::net::tally::Requests;
    pub use crate::protocol::channel::{Access, check_name};
    pub use crate::protocol::client::{ClientMessage, parse as parse_client_message};
    pub use crate::protocol::member::{
        Member, MemberLimits, parse_channel_data, parse_user_data, parse_watchlist,
    };
    pub use crate::protocol::server::EventData;
    pub use crate::protocol::{ChannelKind, ChannelName, ChannelRef, SocketId};
    pub use crate::relay::Relay;
    pub use crate::session::fuzzing::run as session;
    pub use crate::tap::Tap;
    pub use crate::tls::fuzzing::records as tls_records;
    pub use crate::webhooks::Webhooks;
    pub use crate::ws::fuzzing::{extensions, frames, inflated};
    pub use service::net::fuzzing::{forwarded, upgrade};
}
