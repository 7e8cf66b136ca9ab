//! Where a relay is, as a base of URLs.

use std::path::PathBuf;

use super::Failure;
use super::secure::Trust;
use crate::config::{Address, Config, Listen};

/// What requests say of where they go, over a Unix socket.
const OVER_UNIX: &str = "http://localhost";

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
    /// The Unix socket that it is reached by, if it is not by TCP.
    pub(super) socket: Option<PathBuf>,
}

impl Url {
    /// A URL as people type it.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let wrong = |what: &str| {
            Failure::Usage(format!(
                "{what}, found {text:?}; --url says where the relay is"
            ))
        };
        if text.starts_with("unix:") {
            return match text.parse() {
                Ok(Listen::Unix(path)) => Ok(Self::by_socket(path, "")),
                _ => Err(wrong("expected unix: and the whole path of a socket")),
            };
        }
        let (scheme, rest) = text
            .split_once("://")
            .filter(|(scheme, _)| ["http", "https"].contains(scheme))
            .ok_or_else(|| wrong("expected http://host:port, https://host:port or unix:/path"))?;
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
            socket: None,
        })
    }

    fn by_socket(path: PathBuf, prefix: &str) -> Self {
        Self {
            origin: OVER_UNIX.into(),
            prefix: prefix.into(),
            trust: Trust::OwnListener,
            socket: Some(path),
        }
    }

    /// How people are shown where it is.
    pub(super) fn place(&self) -> String {
        match &self.socket {
            Some(socket) => format!("unix:{}", socket.display()),
            None => self.origin.clone(),
        }
    }

    /// Where a relay with this configuration is, seen from its own machine: over TLS only without a plain address, and by
    /// a Unix socket, which not everybody may use, only without either.
    pub(super) fn of(config: &Config) -> Result<Self, Failure> {
        let plain = config.server.listen.iter();
        let plain = plain.filter(|one| !one.proxy_protocol);
        let socket = plain.clone().find_map(|one| match &one.at {
            Listen::Unix(path) => Some(path.clone()),
            Listen::Tcp(_) => None,
        });
        let plain = plain.clone().find_map(|one| one.at.address());
        let tls = config.tls.listen.as_ref();
        let tls = tls.filter(|_| !config.tls.proxy_protocol);
        let (scheme, listen) = match (plain, tls) {
            (Some(plain), _) => ("http", plain),
            (None, Some(tls)) => ("https", tls),
            (None, None) => {
                let none = "the configuration listens nowhere without the PROXY protocol; \
                            say with --url where the relay is reached";
                let socket = socket.ok_or_else(|| Failure::Usage(none.to_owned()))?;
                return Ok(Self::by_socket(socket, &config.server.path_prefix));
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
            socket: None,
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
    fn a_unix_socket_is_a_place_too() {
        let url = Url::parse("unix:/run/relay.sock").unwrap();
        assert_eq!(url.socket, Some("/run/relay.sock".into()));
        assert_eq!(url.place(), "unix:/run/relay.sock");
        for text in ["unix:", "unix:relay.sock", "unix:/"] {
            assert!(Url::parse(text).is_err(), "{text:?}");
        }
    }

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
