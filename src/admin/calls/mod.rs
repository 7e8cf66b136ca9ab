//! What the routes do, one file for what they are about.
//!
//! - [`apps`], [`channels`], [`connections`]: what they say
//! - [`events`]: an event is published
//! - [`webhooks`]: how webhooks get on; [`doctor`]: why clients do not connect
//! - [`settings`]: apps are made, changed and removed
//! - [`node`]: the relay itself

pub(super) mod apps;
pub(super) mod channels;
pub(super) mod connections;
pub(super) mod doctor;
pub(super) mod events;
pub(super) mod node;
pub(super) mod settings;
pub(super) mod webhooks;
