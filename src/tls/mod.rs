//! TLS: which certificates are served, to whom, and what of TLS the relay does itself.
//!
//! - [`name`], [`certificate`]: names, and a certificate with its chain and key
//! - [`certificates`]: all that are served at the moment; each can be replaced while the relay runs
//! - [`files`], [`watch`]: certificates in files, and how newer ones are noticed
//! - [`agreement`]: what is agreed on with a client
//! - [`trust`]: whether clients will trust a certificate; [`unverified`]: a client that takes any
//! - [`exchange`], [`acceptor`]: one handshake, and those of a worker thread
//! - [`under_way`]: which of them ends when there are too many
//! - [`record`], [`receiving`], [`writer`], [`socket`]: what is spoken after it
//!
//! Whoever has a certificate, from files or from an authority, takes a place among the [`Certificates`] and
//! puts it there, again whenever there is a newer one.

mod acceptor;
mod agreement;
mod certificate;
mod certificates;
mod exchange;
mod files;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod name;
mod receiving;
mod record;
mod socket;
#[cfg(test)]
pub(crate) mod testing;
mod trust;
mod under_way;
mod unverified;
mod watch;
mod writer;

pub use acceptor::Acceptor;
pub use agreement::{Minimum, server_config};
pub use certificate::{Certificate, CertificateError, Chain, renewal_notice};
pub use certificates::{Certificates, PlaceId};
pub use files::{FileError, Pair, Setting};
pub use name::Name;
pub use record::{Broken, Opener};
pub use socket::{Reader, Socket, WriteHalf};
pub use trust::{distrust, system_authorities};
pub use unverified::unverified_client;
pub use watch::{Looked, Watched};
pub use writer::Writer;
