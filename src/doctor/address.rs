//! The address that clients are given.

use url::Host;

/// Characters of a text that is no URL that are shown.
const MOST_SHOWN: usize = 200;

/// The text is no address that clients could be given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected wss://host, ws://host:port, and a path prefix perhaps, found {0:?}")]
pub struct InvalidUrl(String);

/// Where clients connect to, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    /// Whether TLS is spoken.
    pub tls: bool,
    /// A name or an address, without brackets.
    pub host: String,
    /// The port, given or that of the scheme.
    pub port: u16,
    /// What paths begin with: empty, or `/segment` once or more.
    pub prefix: String,
}

impl PublicUrl {
    /// A URL as people have it: `wss://`, `ws://`, `https://` or `http://`, perhaps with the path that clients connect to.
    ///
    /// # Errors
    /// When it is another text, or one with a password.
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        let wrong = || InvalidUrl(text.chars().take(MOST_SHOWN).collect());
        let url = url::Url::parse(text).map_err(|_| wrong())?;
        let tls = match url.scheme() {
            "wss" | "https" => true,
            "ws" | "http" => false,
            _ => return Err(wrong()),
        };
        let is_plain = url.username().is_empty() && url.password().is_none();
        let host = match url.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => return Err(wrong()),
        };
        let path = url.path();
        let path = path.find("/app/").map_or(path, |at| &path[..at]);
        if !is_plain || url.query().is_some() && path == url.path() || url.fragment().is_some() {
            return Err(wrong());
        }
        Ok(Self {
            tls,
            host,
            port: url.port_or_known_default().ok_or_else(wrong)?,
            prefix: path.trim_end_matches('/').to_owned(),
        })
    }

    /// Host and port, as they stand in a request.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        match (self.tls, self.port) {
            (true, 443) | (false, 80) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }

    /// The same place with other paths.
    pub fn with_prefix(&self, prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
            ..self.clone()
        }
    }
}

impl std::fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.tls { "wss" } else { "ws" };
        write!(f, "{scheme}://{}{}", self.authority(), self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_all_kinds_are_read() {
        for (text, expected) in [
            ("wss://ws.example.com", "wss://ws.example.com"),
            ("https://ws.example.com:443/", "wss://ws.example.com"),
            ("ws://127.0.0.1:6001/relay/", "ws://127.0.0.1:6001/relay"),
            ("http://[::1]", "ws://[::1]"),
            ("wss://a.test/x/app/key?protocol=7", "wss://a.test/x"),
        ] {
            assert_eq!(PublicUrl::parse(text).unwrap().to_string(), expected);
        }
        for text in [
            "",
            "ws.example.com",
            "ftp://a",
            "wss://",
            "wss://u:p@a",
            "ws://a/?x=1",
        ] {
            assert!(PublicUrl::parse(text).is_err(), "{text}");
        }
    }
}
