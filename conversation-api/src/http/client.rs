//! Where a request comes from.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::HttpRequest;
use actix_web::http::header::HeaderMap;

use crate::auth::attempts::Client;

/// Proxies whose `X-Forwarded-For` is believed.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Arc<Proxies>);

#[derive(Debug, Default)]
struct Proxies {
    addresses: HashSet<IpAddr>,
    /// Whether it was logged that another proxy seems to be there.
    warned: AtomicBool,
}

impl FromStr for TrustedProxies {
    type Err = std::net::AddrParseError;

    /// Addresses with commas between them.
    fn from_str(list: &str) -> Result<Self, Self::Err> {
        let addresses = list
            .split(',')
            .map(str::trim)
            .filter(|address| !address.is_empty());
        let addresses: Result<_, _> = addresses.map(IpAddr::from_str).collect();
        Ok(Self(Arc::new(Proxies {
            addresses: addresses?,
            warned: AtomicBool::new(false),
        })))
    }
}

impl TrustedProxies {
    /// The client: the address of the connection or, behind trusted proxies, the last one in
    /// `X-Forwarded-For` that is none of theirs. What stands before it anybody may have written.
    pub(super) fn client(&self, request: &HttpRequest) -> Client {
        let peer = request.peer_addr().map(|address| address.ip());
        // Only a Unix socket has no address, and none is listened on.
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
        let mut forwarded = headers
            .get_all("X-Forwarded-For")
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|address| address.trim().parse().ok())
            .collect::<Vec<Option<IpAddr>>>();
        let trusted = &self.0.addresses;
        if !trusted.contains(&peer) {
            return Client {
                address: peer,
                claimed: forwarded.pop().flatten(),
            };
        }
        let mut address = peer;
        for next in forwarded.into_iter().rev() {
            let Some(next) = next else { break };
            address = next;
            if !trusted.contains(&address) {
                break;
            }
        }
        Client {
            address,
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
    }

    #[test]
    fn addresses_must_be_addresses() {
        assert!("10.0.0.1,proxy".parse::<TrustedProxies>().is_err());
    }
}
