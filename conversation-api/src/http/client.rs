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

const X_FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED: &str = "forwarded";

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
        let headers = request.headers();
        if self.is_unknown_proxy(peer, headers) && !self.0.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                %peer,
                "X-Forwarded-For or Forwarded comes from an address that is not in TRUSTED_PROXIES: if it is your \
                 proxy, name it there, or log-ins of everybody behind it share their limits"
            );
        }
        self.behind(peer, headers)
    }

    /// Whether the peer writes what proxies do, names an address or hides it, and is not trusted.
    fn is_unknown_proxy(&self, peer: IpAddr, headers: &HeaderMap) -> bool {
        let forwards = [X_FORWARDED_FOR, FORWARDED].map(|name| headers.contains_key(name));
        forwards.contains(&true) && !self.0.trusted.trusts(Some(peer))
    }

    fn behind(&self, peer: IpAddr, headers: &HeaderMap) -> Client {
        let trusted = &self.0.trusted;
        let values = |name: &str| headers.get_all(name).map(|value| value.as_bytes());
        if !trusted.trusts(Some(peer)) {
            let list = |name| values(name).collect::<Vec<&[u8]>>().into_iter();
            return Client {
                address: peer.to_canonical(),
                claimed: claimed(list(X_FORWARDED_FOR), list(FORWARDED)),
            };
        }
        let client = trusted.client(Some(peer), values(X_FORWARDED_FOR), values(FORWARDED));
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
        client_by(X_FORWARDED_FOR, proxies, peer, forwarded)
    }

    fn client_by(name: &'static str, proxies: &str, peer: &str, forwarded: &'static str) -> String {
        let mut headers = HeaderMap::new();
        let name = HeaderName::from_static(name);
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
    fn either_header_distinguishes_those_behind_an_unknown_proxy() {
        let client = |proxies, forwarded| client_by(FORWARDED, proxies, "10.0.0.1", forwarded);
        assert_eq!(client("", "for=1.2.3.4"), "10.0.0.1 for 1.2.3.4");
        assert_eq!(
            client("10.0.0.2", "for=9.9.9.9, for=\"1.2.3.4:80\""),
            "10.0.0.1 for 1.2.3.4"
        );
        assert_eq!(client("", "for=_hidden"), "10.0.0.1");
        assert_eq!(client("10.0.0.1", "for=1.2.3.4"), "1.2.3.4");
    }

    #[test]
    fn addresses_must_be_addresses() {
        assert!("10.0.0.1,proxy".parse::<TrustedProxies>().is_err());
    }
}
