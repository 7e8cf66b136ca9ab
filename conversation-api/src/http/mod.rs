//! The endpoints.
//!
//! - [`mod@routes`]: what is where
//! - [`login`], [`user`], [`listing`], [`conversations`], [`messages`], [`sending`], [`media`]: what the
//!   inbox calls
//! - [`broadcasting`]: signatures for Laravel Echo
//! - [`webhook`]: what WhatsApp calls
//! - [`status`]: whether the service is there; [`page`]: the inbox itself
//! - [`authenticated`], [`client`], [`socket`], [`path`]: what is read from a request's head
//! - [`body`], [`input`]: what is read from its body
//! - [`error`]: every answer that is a refusal; [`field_errors`]: what is wrong with fields
//! - [`figures`]: the listener of the metrics

mod authenticated;
mod body;
mod broadcasting;
mod client;
mod conversations;
mod error;
mod field_errors;
pub mod figures;
mod input;
mod listing;
mod login;
mod media;
mod messages;
pub mod page;
mod path;
mod routes;
mod sending;
mod socket;
mod status;
mod user;
mod webhook;

pub use body::Bodies;
pub use broadcasting::Signing;
pub use client::TrustedProxies;
pub use routes::routes;
pub use webhook::{OwnNumber, WebhookSecrets};
