//! The conversation backend of TIMS, a support desk whose customers write over WhatsApp: it keeps
//! conversations, and announces what happens in them to a relay of the Pusher protocol.
//!
//! A module uses only those above it.
//!
//! - [`clock`], [`people`]: points in time; users and roles
//! - [`channels`]: who may see what, the only place that knows
//! - [`message`]: what a message is
//! - [`events`]: what is announced
//! - [`whatsapp`]: its API
//! - [`store`]: the database
//! - [`auth`]: passwords, tokens, attempts
//! - [`metrics`]: figures for Prometheus
//! - [`outbox`]: sending what was committed
//! - [`media`]: the files of messages
//! - [`http`]: the endpoints
//! - [`settings`]: the environment and the flags
//! - [`server`]: all of it at work
//! - [`cli`]: the commands

pub mod auth;
pub mod channels;
pub mod cli;
pub mod clock;
pub mod events;
pub mod http;
pub mod media;
pub mod message;
pub mod metrics;
pub mod outbox;
pub mod people;
pub mod server;
pub mod settings;
pub mod store;
pub mod whatsapp;
