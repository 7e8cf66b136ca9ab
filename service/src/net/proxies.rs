//! Who the client is of a request that came through proxies.

use std::net::IpAddr;
use std::str::FromStr;

use super::forwarded::{forwarded, x_forwarded_for};
use super::network::{InvalidNetwork, Network};

/// Hops that are looked at. More proxies in a row are none that somebody has set up.
const MOST_HOPS: usize = 32;
/// How peers on Unix sockets are named, which have no address.
const UNIX: &str = "unix";

/// Proxies that are believed about those for whom they ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    networks: Box<[Network]>,
    unix: bool,
}

impl FromStr for TrustedProxies {
    type Err = InvalidNetwork;

    /// Addresses, networks and `unix`, with commas between them.
    fn from_str(list: &str) -> Result<Self, InvalidNetwork> {
        let items = list.split(',').map(str::trim);
        Self::of(items.filter(|item| !item.is_empty()))
    }
}

impl TrustedProxies {
    /// Addresses, networks and, for whoever comes by a Unix socket, `unix`.
    ///
    /// # Errors
    /// When one of them is nothing of this.
    pub fn of<'t>(items: impl IntoIterator<Item = &'t str>) -> Result<Self, InvalidNetwork> {
        let mut unix = false;
        let mut networks = Vec::new();
        for item in items {
            if item == UNIX {
                unix = true;
            } else {
                networks.push(item.parse()?);
            }
        }
        Ok(Self {
            networks: networks.into(),
            unix,
        })
    }

    /// What it was made of.
    pub fn items(&self) -> Vec<String> {
        let networks = self.networks.iter().map(Network::to_string);
        networks.chain(self.unix.then(|| UNIX.to_owned())).collect()
    }

    /// Whether nobody is trusted.
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty() && !self.unix
    }

    /// Whether a peer is believed. None: it came by a Unix socket.
    pub fn trusts(&self, peer: Option<IpAddr>) -> bool {
        match peer {
            Some(address) => self
                .networks
                .iter()
                .any(|network| network.contains(address)),
            None => self.unix,
        }
    }

    /// The client: the peer or, if that is trusted, the nearest of those named in the headers who
    /// is not. What stands before it anybody may have written. The last proxy counts as the client where
    /// it does not name an address, and where both headers are there and differ, as one of them is
    /// then what the client wrote. None: it came by a Unix socket.
    pub fn client<'h, X, F>(
        &self,
        peer: Option<IpAddr>,
        x_forwarded_for: X,
        forwarded: F,
    ) -> Option<IpAddr>
    where
        X: IntoIterator<Item = &'h [u8]>,
        F: IntoIterator<Item = &'h [u8]>,
    {
        let peer = peer.map(|address| address.to_canonical());
        if !self.trusts(peer) {
            return peer;
        }
        let one: Vec<&[u8]> = x_forwarded_for.into_iter().collect();
        let other: Vec<&[u8]> = forwarded.into_iter().collect();
        let (has_one, has_other) = (!one.is_empty(), !other.is_empty());
        let one = self.nearest(peer, self::x_forwarded_for(one.into_iter()));
        let other = self.nearest(peer, self::forwarded(other.into_iter()));
        match (has_one, has_other) {
            (true, true) if one != other => peer,
            (true, _) => one,
            (false, _) => other,
        }
    }

    fn nearest(
        &self,
        peer: Option<IpAddr>,
        hops: impl Iterator<Item = Option<IpAddr>>,
    ) -> Option<IpAddr> {
        let mut client = peer;
        for hop in hops.take(MOST_HOPS) {
            let Some(address) = hop else { break };
            client = hop;
            if !self.trusts(Some(address)) {
                break;
            }
        }
        client
    }
}

/// The last that `X-Forwarded-For` names or, where it names nobody, `Forwarded`: who wrote that is not known.
pub fn claimed<'h, X, F>(x_forwarded_for: X, forwarded: F) -> Option<IpAddr>
where
    X: DoubleEndedIterator<Item = &'h [u8]>,
    F: DoubleEndedIterator<Item = &'h [u8]>,
{
    let last = self::x_forwarded_for(x_forwarded_for).next().flatten();
    last.or_else(|| self::forwarded(forwarded).next().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Case {
        trusted: &'static str,
        peer: &'static str,
        x_forwarded_for: &'static [&'static str],
        forwarded: &'static [&'static str],
    }

    fn client(case: &Case) -> String {
        let trusted: TrustedProxies = case.trusted.parse().unwrap();
        let bytes = |values: &'static [&'static str]| values.iter().map(|value| value.as_bytes());
        let peer = case.peer.parse().ok();
        let client = trusted.client(peer, bytes(case.x_forwarded_for), bytes(case.forwarded));
        client.map_or("unix".into(), |address| address.to_string())
    }

    #[track_caller]
    fn is(
        trusted: &'static str,
        peer: &'static str,
        x_forwarded_for: &'static [&'static str],
        forwarded: &'static [&'static str],
        expected: &str,
    ) {
        let case = Case {
            trusted,
            peer,
            x_forwarded_for,
            forwarded,
        };
        assert_eq!(client(&case), expected);
    }

    #[test]
    fn strangers_are_not_believed() {
        is("", "10.0.0.1", &["1.1.1.1"], &["for=1.1.1.1"], "10.0.0.1");
        is("10.0.0.2", "10.0.0.1", &["1.1.1.1"], &[], "10.0.0.1");
        is("10.0.0.2", "::ffff:10.0.0.1", &["1.1.1.1"], &[], "10.0.0.1");
        is("10.0.0.0/8", "unix", &["1.1.1.1"], &[], "unix");
        is("unix", "127.0.0.1", &["1.1.1.1"], &[], "127.0.0.1");
    }

    #[test]
    fn the_nearest_that_is_not_trusted_is_the_client() {
        let proxies = "10.0.0.0/8, ::1, unix";
        is(proxies, "10.0.0.1", &["1.1.1.1"], &[], "1.1.1.1");
        is(proxies, "::ffff:10.0.0.1", &["1.1.1.1"], &[], "1.1.1.1");
        is(proxies, "unix", &["1.1.1.1"], &[], "1.1.1.1");
        is(proxies, "::1", &[], &["for=1.1.1.1"], "1.1.1.1");
        is(
            proxies,
            "::1",
            &["9.9.9.9, 1.1.1.1, 10.0.0.3", "10.0.0.2"],
            &[],
            "1.1.1.1",
        );
        is(
            proxies,
            "::1",
            &[],
            &["for=9.9.9.9, for=1.1.1.1", "for=10.0.0.2"],
            "1.1.1.1",
        );
        is(proxies, "::1", &["10.0.0.3, 10.0.0.2"], &[], "10.0.0.3");
        is(proxies, "::1", &[], &[], "::1");
    }

    #[test]
    fn who_is_not_named_is_the_last_proxy() {
        let proxies = "10.0.0.0/8, unix";
        is(proxies, "10.0.0.1", &["1.1.1.1, unknown"], &[], "10.0.0.1");
        is(
            proxies,
            "10.0.0.1",
            &["1.1.1.1, x, 10.0.0.2"],
            &[],
            "10.0.0.2",
        );
        is(
            proxies,
            "10.0.0.1",
            &[],
            &["for=1.1.1.1, for=_x"],
            "10.0.0.1",
        );
        is(proxies, "unix", &["unix:"], &[], "unix");
        is(proxies, "10.0.0.1", &[""], &[], "10.0.0.1");
    }

    #[test]
    fn headers_that_differ_are_not_believed() {
        let proxies = "10.0.0.0/8";
        is(
            proxies,
            "10.0.0.1",
            &["1.1.1.1"],
            &["for=2.2.2.2"],
            "10.0.0.1",
        );
        is(
            proxies,
            "10.0.0.1",
            &["1.1.1.1"],
            &["for=\"1.1.1.1:80\""],
            "1.1.1.1",
        );
    }

    #[test]
    fn more_hops_than_anybody_has_are_not_looked_at() {
        let trusted: TrustedProxies = "10.0.0.0/8".parse().unwrap();
        let value = format!("1.1.1.1{}", ", 10.0.0.2".repeat(MOST_HOPS));
        let peer = "10.0.0.1".parse().ok();
        let client = trusted.client(peer, [value.as_bytes()], []);
        assert_eq!(client, "10.0.0.2".parse().ok());
    }

    #[test]
    fn strangers_claim_by_either_header() {
        let claim = |one: &'static [&'static str], other: &'static [&'static str]| {
            let bytes = |value: &&'static str| value.as_bytes();
            let claimed = claimed(one.iter().map(bytes), other.iter().map(bytes));
            claimed.map_or_else(String::new, |address| address.to_string())
        };
        assert_eq!(claim(&["9.9.9.9, 1.1.1.1"], &[]), "1.1.1.1");
        assert_eq!(claim(&[], &["for=9.9.9.9, for=1.1.1.1"]), "1.1.1.1");
        assert_eq!(claim(&[], &["for=9.9.9.9", "for=1.1.1.1"]), "1.1.1.1");
        assert_eq!(claim(&["1.1.1.1"], &["for=2.2.2.2"]), "1.1.1.1");
        assert_eq!(claim(&["unknown"], &["for=2.2.2.2"]), "2.2.2.2");
        assert_eq!(claim(&[], &["for=1.1.1.1, for=_hidden"]), "");
        assert_eq!(claim(&[], &[]), "");
    }

    #[test]
    fn lists_are_read() {
        assert!(TrustedProxies::default().is_empty());
        assert!(" , ".parse::<TrustedProxies>().unwrap().is_empty());
        assert!(!"unix".parse::<TrustedProxies>().unwrap().is_empty());
        assert!("10.0.0.1,proxy".parse::<TrustedProxies>().is_err());
    }
}
