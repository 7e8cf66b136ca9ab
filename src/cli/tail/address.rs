//! Where the admin listener is.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use actix_web::http::Uri;

use crate::cli::url::reachable_host;
use crate::config::{Admin, Listen};

/// An `http://` URL, taken apart, of which the scheme may be left out; or `unix:` and the path of a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub(super) place: Place,
    /// What stands before `/stream`: empty, or the prefix that a proxy gave.
    pub(super) prefix: String,
}

/// What is connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Tcp {
        /// A name or an IP address, without the brackets of IPv6.
        host: String,
        port: u16,
    },
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("unix:") {
            return match text.parse() {
                Ok(Listen::Unix(path)) => Ok(path.into()),
                _ => Err("expected unix: and the whole path of a socket".to_owned()),
            };
        }
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
            place: Place::Tcp { host, port },
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

impl Address {
    /// The admin listener of a relay with this configuration, seen from its own machine. None if
    /// it is off, or at a port that only the relay knows.
    pub fn of(admin: &Admin) -> Option<Self> {
        let listen = match admin.listen.as_ref()? {
            Listen::Tcp(address) => address,
            Listen::Unix(path) => return Some(path.clone().into()),
        };
        if listen.port() == 0 {
            return None;
        }
        format!("{}:{}", reachable_host(listen.host()), listen.port())
            .parse()
            .ok()
    }

    /// What the `Host` header says.
    pub(super) fn authority(&self) -> String {
        match &self.place {
            Place::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            Place::Tcp { host, port } => format!("{host}:{port}"),
            Place::Unix(_) => "localhost".to_owned(),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self {
            place: Place::Tcp {
                host: address.ip().to_string(),
                port: address.port(),
            },
            prefix: String::new(),
        }
    }
}

impl From<PathBuf> for Address {
    fn from(path: PathBuf) -> Self {
        Self {
            place: Place::Unix(path),
            prefix: String::new(),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Tcp { .. } => write!(f, "http://{}{}", self.authority(), self.prefix),
            Place::Unix(path) => write!(f, "unix:{}", path.display()),
        }
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
            assert!(matches!(address.place, Place::Tcp { host: its, .. } if its == host));
        }
    }

    #[test]
    fn unix_sockets_are_places_too() {
        let address: Address = "unix:/run/admin.sock".parse().unwrap();
        assert_eq!(address, Address::from(PathBuf::from("/run/admin.sock")));
        assert_eq!(address.to_string(), "unix:/run/admin.sock");
        let admin = Admin {
            listen: Some("unix:/run/admin.sock".parse().unwrap()),
            ..Admin::default()
        };
        assert_eq!(Address::of(&admin), Some(address));
    }

    #[test]
    fn what_is_no_such_url_is_refused() {
        for text in [
            "",
            "unix:",
            "unix:admin.sock",
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
