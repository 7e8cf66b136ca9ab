//! What is made of what was observed: no IO, and no clock but as an argument.
//!
//! - [`network`]: names and addresses
//! - [`certificate`]: what a server shows of certificates
//! - [`gateway`]: what answers over HTTP, and whether it lets WebSockets through
//! - [`codes`]: what to do about the codes with which a relay refuses clients, or closes their connections
//! - [`protocol`]: what the relay says of key, origin and signature; round trips
//! - [`idle`]: how long a silent connection lasts
//! - [`backend`]: webhooks, Redis, the limit on open files

pub(super) mod backend;
pub(super) mod certificate;
pub(super) mod codes;
pub(super) mod gateway;
pub(super) mod idle;
pub(super) mod network;
pub(super) mod protocol;
