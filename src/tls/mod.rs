//! TLS: which certificates are served, to whom, and what of TLS the relay does itself.
//!
//! - [`name`], [`certificate`]: names, and a certificate with its chain and key
//! - [`certificates`]: all that are served at the moment; each can be replaced while the relay runs
//! - [`handshake`]: what is agreed on with a client
//!
//! Whoever has a certificate, from files or from an authority, takes a place among the [`Certificates`] and
//! puts it there, again whenever there is a newer one.

mod certificate;
mod certificates;
mod handshake;
mod name;

pub use certificate::{Certificate, CertificateError, Chain, certified};
pub use certificates::{ACME_TLS, Certificates, Expiry, PlaceId};
pub use handshake::{Minimum, server_config};
pub use name::Name;
