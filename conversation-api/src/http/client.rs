//! Where a request comes from.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;
use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::header::HeaderMap;

/// Proxies whose `X-Forwarded-For` is believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Arc<HashSet<IpAddr>>);

impl FromStr for TrustedProxies {
    type Err = std::net::AddrParseError;

    /// Addresses with commas between them.
    fn from_str(list: &str) -> Result<Self, Self::Err> {
        let addresses = list
            .split(',')
            .map(str::trim)
            .filter(|address| !address.is_empty());
        let addresses: Result<_, _> = addresses.map(IpAddr::from_str).collect();
        Ok(Self(Arc::new(addresses?)))
    }
}

impl TrustedProxies {
    /// The client's address: that of the connection or, behind trusted proxies, the last one in
    /// `X-Forwarded-For` that is none of theirs. What stands before it anybody may have written.
    pub(super) fn client(&self, request: &HttpRequest) -> IpAddr {
        let peer = request.peer_addr().map(|address| address.ip());
        // Only a Unix socket has no address, and none is listened on.
        let peer = peer.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
        self.behind(peer, request.headers())
    }

    fn behind(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.0.contains(&peer) {
            return peer;
        }
        let forwarded: Vec<&str> = headers
            .get_all("X-Forwarded-For")
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .collect();
        let mut client = peer;
        for address in forwarded.into_iter().rev() {
            match address.trim().parse() {
                Ok(address) => client = address,
                Err(_) => break,
            }
            if !self.0.contains(&client) {
                break;
            }
        }
        client
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
        proxies.behind(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(client("", "10.0.0.1", "1.2.3.4"), "10.0.0.1");
        assert_eq!(client("10.0.0.2", "10.0.0.1", "1.2.3.4"), "10.0.0.1");
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
