//! Those who connect and ask, by their addresses.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use actix_http::header::HeaderMap;
use service::net::proxies::TrustedProxies;

/// What is known of clients' addresses.
#[derive(Debug, Default)]
pub struct Clients {
    trusted: Arc<TrustedProxies>,
}

impl Clients {
    /// Those whom these proxies name are the clients.
    pub fn new(trusted: Arc<TrustedProxies>) -> Self {
        Self { trusted }
    }

    /// Who asks, at the other end of the connection or behind trusted proxies. None: somebody on this machine, by
    /// a Unix socket.
    pub fn address(&self, peer: Option<SocketAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        let values = |name: &str| headers.get_all(name).map(|value| value.as_bytes());
        let peer = peer.map(|peer| peer.ip());
        let one = values("x-forwarded-for");
        self.trusted.client(peer, one, values("forwarded"))
    }
}
