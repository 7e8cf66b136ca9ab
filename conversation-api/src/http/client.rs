//! Where a request comes from.

use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::HttpRequest;
use actix_web::http::header::HeaderMap;
use service::net::network::InvalidNetwork;
use service::net::proxies::{self, claimed};

use crate::auth::attempts::Client;

/// Proxies that are believed about those for whom they ask.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Arc<Proxies>);

#[derive(Debug, Default)]
struct Proxies {
    trusted: proxies::TrustedProxies,
    /// Whether it was logged that another proxy seems to be there.
    warned: AtomicBool,
}

impl FromStr for TrustedProxies {
    type Err = InvalidNetwork;

    /// Addresses and networks with commas between them.
    fn from_str(list: &str) -> Result<Self, Self::Err> {
        Ok(Self(Arc::new(Proxies {
            trusted: list.parse()?,
            warned: AtomicBool::new(false),
        })))
    }
}

impl TrustedProxies {
    /// The client: the address of the connection or, behind trusted proxies, whom they name.
    pub(super) fn client(&self, request: &HttpRequest) -> Client {
        // Only a Unix socket has no address, and none is listened on.
        let peer = request.peer_addr().map(|address| address.ip());
        let peer = peer.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
        let client = self.behind(peer, request.headers());
        if client.claimed.is_some() && !self.0.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                %peer,
                "X-Forwarded-For comes from an address that is not in TRUSTED_PROXIES: if it is your proxy, \
                 name it there, or log-ins of everybody behind it share their limits"
            );
        }
        client
    }

    fn behind(&self, peer: IpAddr, headers: &HeaderMap) -> Client {
        let trusted = &self.0.trusted;
        let values = |name: &str| headers.get_all(name).map(|value| value.as_bytes());
        if !trusted.trusts(Some(peer)) {
            let values: Vec<&[u8]> = values("x-forwarded-for").collect();
            return Client {
                address: peer.to_canonical(),
                claimed: claimed(values.into_iter()),
            };
        }
        let client = trusted.client(Some(peer), values("x-forwarded-for"), values("forwarded"));
        Client {
            address: client.unwrap_or(peer),
            claimed: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn client(proxies: &str, peer: &str, forwarded: &'static str) -> String {
        let mut headers = HeaderMap::new();
        let name = HeaderName::from_static("x-forwarded-for");
        headers.insert(name, HeaderValue::from_static(forwarded));
        let proxies: TrustedProxies = proxies.parse().unwrap();
        let client = proxies.behind(peer.parse().unwrap(), &headers);
        match client.claimed {
            Some(claimed) => format!("{} for {claimed}", client.address),
            None => client.address.to_string(),
        }
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(client("", "10.0.0.1", "1.2.3.4"), "10.0.0.1 for 1.2.3.4");
        assert_eq!(
            client("10.0.0.2", "10.0.0.1", "1.2.3.4"),
            "10.0.0.1 for 1.2.3.4"
        );
        assert_eq!(client("10.0.0.1", "10.0.0.1", "1.2.3.4"), "1.2.3.4");
        assert_eq!(
            client("10.0.0.1", "10.0.0.1", "9.9.9.9, 1.2.3.4"),
            "1.2.3.4"
        );
        let both = "10.0.0.1, 10.0.0.2";
        assert_eq!(
            client(both, "10.0.0.1", "9.9.9.9, 1.2.3.4, 10.0.0.2"),
            "1.2.3.4"
        );
        assert_eq!(client("10.0.0.1", "10.0.0.1", "nonsense"), "10.0.0.1");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", "1.2.3.4:80"), "1.2.3.4");
    }

    #[test]
    fn addresses_must_be_addresses() {
        assert!("10.0.0.1,proxy".parse::<TrustedProxies>().is_err());
    }
}
