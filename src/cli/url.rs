//! Where a relay is, as a base of URLs.

use super::Failure;
use crate::config::{Address, Config};

/// Where the relay is by default.
pub(super) const DEFAULT_URL: &str = "http://127.0.0.1:6001";

/// A base address, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Url {
    /// `http://host:port`
    pub(super) origin: String,
    /// What paths begin with: empty, or `/segment` once or more.
    pub(super) prefix: String,
}

impl Url {
    /// A URL as people type it.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let wrong = |what: &str| {
            Failure::Usage(format!(
                "{what}, found {text:?}; --url says where the relay is"
            ))
        };
        if text.starts_with("https://") {
            return Err(wrong("expected http://: this command does not speak TLS"));
        }
        let rest = text
            .strip_prefix("http://")
            .ok_or_else(|| wrong("expected http://host:port"))?;
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
                "expected http://host:port, and a path prefix perhaps",
            ));
        }
        Ok(Self {
            origin: format!("http://{authority}"),
            prefix: path.trim_end_matches('/').into(),
        })
    }

    /// Where a relay with this configuration is, seen from its own machine.
    pub(super) fn of(config: &Config) -> Result<Self, Failure> {
        let mut plain = config
            .server
            .listen
            .iter()
            .filter(|one| !one.proxy_protocol);
        let Some(listen) = plain.find_map(|one| one.at.address()) else {
            let none = "the configuration listens at no host and port without the PROXY protocol; \
                        say with --url where the relay is reached";
            return Err(Failure::Usage(none.to_owned()));
        };
        if listen.port() == 0 {
            let unknown = "the configuration leaves the port open; say it with --url";
            return Err(Failure::Usage(unknown.to_owned()));
        }
        Ok(Self {
            origin: format!("http://{}:{}", reachable_host(listen.host()), listen.port()),
            prefix: config.server.path_prefix.to_string(),
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
    fn urls_are_plain_http() {
        for text in [
            "",
            "relay.test",
            "https://relay.test",
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
    }
}
