//! The names that people develop under.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Hosts of the machine itself, also as its containers know it.
const NAMES: &[&str] = &[
    "localhost",
    "host.docker.internal",
    "host.containers.internal",
];

/// Names below these are of this machine: reserved ones, which nobody can register (Valet and
/// Herd serve `.test`), those that the local network gives out, and those of DDEV and Lando,
/// which stand for 127.0.0.1.
const BELOW: &[&str] = &[".localhost", ".test", ".local", ".ddev.site", ".lndo.site"];

/// Whether what is served at a host, in lower case, is taken for the developer's own.
///
/// An address of the local network is not: in somebody else's network it is somebody else's
/// page.
pub(super) fn is_of_development(host: &str) -> bool {
    match address(host) {
        // Servers that listen everywhere print 0.0.0.0, and people open that.
        Some(address) => address.is_loopback() || address.is_unspecified(),
        None => NAMES.contains(&host) || BELOW.iter().any(|suffix| host.ends_with(suffix)),
    }
}

/// The address that a host is, if it is one.
pub(super) fn address(host: &str) -> Option<IpAddr> {
    let v6 = |text: &str| text.parse::<Ipv6Addr>().ok();
    match host.strip_prefix('[') {
        Some(rest) => v6(rest.strip_suffix(']')?).map(|address| address.to_canonical()),
        None => host.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_this_machine_are_the_developer_s() {
        for host in [
            "localhost",
            "app.localhost",
            "127.0.0.1",
            "127.8.9.10",
            "0.0.0.0",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "shop.test",
            "a.b.test",
            "macbook.local",
            "shop.ddev.site",
            "shop.lndo.site",
            "host.docker.internal",
        ] {
            assert!(is_of_development(host), "{host}");
        }
    }

    #[test]
    fn hosts_of_others_are_not() {
        for host in [
            "example.com",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "xlocalhost",
            "notlocalhost.com",
            "test",
            "shoptest",
            "ddev.site",
            "evil-ddev.site",
            "192.168.1.20",
            "10.0.0.1",
            "128.0.0.1",
            "[fe80::1]",
            "[::ffff:10.0.0.1]",
            "[::1",
            "router",
            "",
        ] {
            assert!(!is_of_development(host), "{host}");
        }
    }
}
