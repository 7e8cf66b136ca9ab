//! Where a relay is, as a base of URLs.

use super::Failure;
use super::secure::Trust;
use crate::config::{Address, Config};

/// Where the relay is by default.
pub(super) const DEFAULT_URL: &str = "http://127.0.0.1:6001";

/// A base address, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Url {
    /// `http://host:port`, or the same with `https`.
    pub(super) origin: String,
    /// What paths begin with: empty, or `/segment` once or more.
    pub(super) prefix: String,
    /// By whom it is trusted, over TLS.
    pub(super) trust: Trust,
}

impl Url {
    /// A URL as people type it.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let wrong = |what: &str| {
            Failure::Usage(format!(
                "{what}, found {text:?}; --url says where the relay is"
            ))
        };
        let (scheme, rest) = text
            .split_once("://")
            .filter(|(scheme, _)| ["http", "https"].contains(scheme))
            .ok_or_else(|| wrong("expected http://host:port or https://host:port"))?;
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let with_port = format!("{authority}:80");
        let valid = [authority, &with_port]
            .into_iter()
            .any(|authority| authority.parse::<Address>().is_ok());
        if !valid || path.contains(['?', '#', ' ']) {
            return Err(wrong(
                "expected http://host:port or https://host:port, and a path prefix perhaps",
            ));
        }
        Ok(Self {
            origin: format!("{scheme}://{authority}"),
            prefix: path.trim_end_matches('/').into(),
            trust: Trust::System,
        })
    }

    /// Where a relay with this configuration is, seen from its own machine: over TLS only if nowhere else.
    pub(super) fn of(config: &Config) -> Result<Self, Failure> {
        let mut plain = config
            .server
            .listen
            .iter()
            .filter(|one| !one.proxy_protocol);
        let plain = plain.find_map(|one| one.at.address());
        let tls = config.tls.listen.as_ref();
        let tls = tls.filter(|_| !config.tls.proxy_protocol);
        let (scheme, listen) = match (plain, tls) {
            (Some(plain), _) => ("http", plain),
            (None, Some(tls)) => ("https", tls),
            (None, None) => {
                let none = "the configuration listens at no host and port without the PROXY protocol; \
                            say with --url where the relay is reached";
                return Err(Failure::Usage(none.to_owned()));
            }
        };
        if listen.port() == 0 {
            let unknown = "the configuration leaves the port open; say it with --url";
            return Err(Failure::Usage(unknown.to_owned()));
        }
        let host = reachable_host(listen.host());
        Ok(Self {
            origin: format!("{scheme}://{host}:{}", listen.port()),
            prefix: config.server.path_prefix.to_string(),
            trust: Trust::OwnListener,
        })
    }
}

/// A host as it stands in URLs, with loopback for "every interface".
pub(super) fn reachable_host(host: &str) -> String {
    match host {
        "0.0.0.0" => "127.0.0.1".into(),
        "::" => "[::1]".into(),
        host if host.contains(':') => format!("[{host}]"),
        host => host.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_http_with_or_without_tls() {
        for text in [
            "",
            "relay.test",
            "relay.test",
            "https:/relay.test",
            "https://",
            "http://",
            "http:///x",
            "http://a b",
            "http://h:1/?q",
            "ws://h:1",
        ] {
            assert!(Url::parse(text).is_err(), "{text:?}");
        }
        let bare = Url::parse("http://relay.test").unwrap();
        assert_eq!((&*bare.origin, &*bare.prefix), ("http://relay.test", ""));
        let secure = Url::parse("https://relay.test:8443/x/").unwrap();
        let parts = (&*secure.origin, &*secure.prefix);
        assert_eq!(parts, ("https://relay.test:8443", "/x"));
    }
}
