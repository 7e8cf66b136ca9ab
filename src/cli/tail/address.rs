//! Where the admin listener is.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use actix_web::http::Uri;

use crate::cli::url::reachable_host;
use crate::config::Admin;

/// An `http://` URL, taken apart. The scheme may be left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A name or an IP address, without the brackets of IPv6.
    pub(super) host: String,
    pub(super) port: u16,
    /// What stands before `/stream`: empty, or the prefix that a proxy gave.
    pub(super) prefix: String,
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url = match text.split_once("://") {
            None => format!("http://{text}"),
            Some(_) => text.to_owned(),
        };
        let uri: Uri = url.parse().map_err(|error| format!("{error}"))?;
        if uri.scheme_str() != Some("http") {
            return Err("expected http://, the admin listener does not speak TLS".to_owned());
        }
        let authority = uri.authority().ok_or("expected a host")?;
        if authority.as_str().contains('@') {
            return Err("expected no user or password".to_owned());
        }
        if uri.query().is_some() {
            return Err("expected no query; use --app, --channel and --event".to_owned());
        }
        let host = authority.host();
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let host = bare.unwrap_or(host).to_owned();
        if host.is_empty() {
            return Err("expected a host".to_owned());
        }
        let port = match authority.as_str()[authority.host().len()..].strip_prefix(':') {
            None => 80,
            Some(port) => port.parse().map_err(|_| "expected a port up to 65535")?,
        };
        Ok(Self {
            host,
            port,
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

impl Address {
    /// The admin listener of a relay with this configuration, seen from its own machine. None if
    /// it is off, or at a port that only the relay knows.
    pub fn of(admin: &Admin) -> Option<Self> {
        let listen = admin.address()?;
        if listen.port() == 0 {
            return None;
        }
        format!("{}:{}", reachable_host(listen.host()), listen.port())
            .parse()
            .ok()
    }

    /// What the `Host` header says.
    pub(super) fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self {
            host: address.ip().to_string(),
            port: address.port(),
            prefix: String::new(),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority(), self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        for (text, shown, host) in [
            (
                "http://127.0.0.1:9601",
                "http://127.0.0.1:9601",
                "127.0.0.1",
            ),
            ("127.0.0.1:9601", "http://127.0.0.1:9601", "127.0.0.1"),
            ("localhost", "http://localhost:80", "localhost"),
            ("HTTP://[::1]:9601/", "http://[::1]:9601", "::1"),
            ("http://relay/ops/", "http://relay:80/ops", "relay"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(address.host, host);
        }
    }

    #[test]
    fn what_is_no_such_url_is_refused() {
        for text in [
            "",
            "http://",
            "https://relay:9601",
            "ws://relay:9601",
            "http://user:secret@relay:9601",
            "http://relay:99999",
            "http://relay:",
            "http://relay:9601/?app=1",
            "http://re lay",
            "http://relay\r\nX: y",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text:?}");
        }
    }
}
