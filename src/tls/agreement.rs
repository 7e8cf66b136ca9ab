//! What is agreed on with a client.

use std::sync::Arc;

use rustls::crypto::ring::Ticketer;
use rustls::server::ServerSessionMemoryCache;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};

use super::certificate::provider;
use super::certificates::{ACME_TLS, Certificates};

/// Sessions that are kept for clients of TLS 1.2 that take no tickets: about 200 bytes each.
const KEPT_SESSIONS: usize = 4096;
/// Tickets that a client of TLS 1.3 is given with a handshake. Each is for one connection, and each costs a
/// record; a page that comes back needs one.
const TICKETS: usize = 1;

/// What clients name that speak HTTP/2.
pub(super) const HTTP2: &[u8] = b"h2";

/// The oldest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Minimum {
    /// 1.2, and 1.3 with all that know it.
    #[default]
    Tls12,
    /// 1.3 alone.
    Tls13,
}

impl Minimum {
    fn versions(self) -> Vec<&'static SupportedProtocolVersion> {
        match self {
            Self::Tls12 => vec![&TLS13, &TLS12],
            Self::Tls13 => vec![&TLS13],
        }
    }
}

/// How handshakes are done with these certificates. Clients that offer HTTP/2 are agreed with on it if `http2` says so.
///
/// Clients that come back resume their session by a ticket that the relay need not keep (its keys change every
/// six hours, and what the last ones sealed is still taken), or, if they take none, by a session of a bounded number that it does.
///
/// # Errors
/// When the system has no random numbers.
pub fn server_config(
    certificates: Arc<Certificates>,
    minimum: Minimum,
    http2: bool,
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&minimum.versions())?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    let spoken = [http2.then_some(HTTP2), Some(b"http/1.1"), Some(ACME_TLS)];
    config.alpn_protocols = spoken.into_iter().flatten().map(<[u8]>::to_vec).collect();
    config.session_storage = ServerSessionMemoryCache::new(KEPT_SESSIONS);
    config.ticketer = Ticketer::new()?;
    config.send_tls13_tickets = TICKETS;
    // The keys are taken out of the handshake's state, which is far larger than all that follows it needs.
    config.enable_secret_extraction = true;
    Ok(config)
}
