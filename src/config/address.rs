//! Where a listener is bound.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::str::FromStr;

/// A host and a port. The host may be a name, which is looked up when it is bound; port 0 lets
/// the system choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    host: Box<str>,
    port: u16,
}

/// A text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected host:port, such as 127.0.0.1:6001, [::1]:6001 or localhost:6001")]
pub struct InvalidAddress;

impl Address {
    /// A port of 127.0.0.1.
    pub fn loopback(port: u16) -> Self {
        Self {
            host: "127.0.0.1".into(),
            port,
        }
    }

    /// The socket addresses that the host stands for. Looks a name up, and so may block.
    pub fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        Ok((&*self.host, self.port).to_socket_addrs()?.collect())
    }

    /// A name or an IP address, without the brackets of IPv6.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; 0: any free one.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether only this machine can reach it. Of names, only `localhost` is known to be so.
    pub fn is_loopback(&self) -> bool {
        match self.host.parse::<IpAddr>() {
            Ok(address) => address.to_canonical().is_loopback(),
            Err(_) => self.host.eq_ignore_ascii_case("localhost"),
        }
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let (host, port) = text.rsplit_once(':').ok_or(InvalidAddress)?;
        let port = if port.bytes().all(|byte| byte.is_ascii_digit()) {
            port.parse().map_err(|_| InvalidAddress)?
        } else {
            return Err(InvalidAddress);
        };
        let bracketed = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let valid = match bracketed {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => is_host_name(host),
        };
        if !valid {
            return Err(InvalidAddress);
        }
        Ok(Self {
            host: bracketed.unwrap_or(host).into(),
            port,
        })
    }
}

/// Names and IPv4 addresses; which of them exist is for the resolver to say.
fn is_host_name(host: &str) -> bool {
    !host.is_empty()
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        for text in [
            "127.0.0.1:6001",
            "0.0.0.0:0",
            "[::1]:80",
            "relay.internal:65535",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_texts_are_no_addresses() {
        let texts = [
            "",
            ":",
            "6001",
            ":6001",
            "localhost",
            "localhost:",
            "localhost:65536",
            "::1:80",
            "localhost:+1",
            "http://localhost:80",
            "a b:80",
            "[::1]",
            "[x]:80",
            "[127.0.0.1]:80",
        ];
        for text in texts {
            assert_eq!(text.parse::<Address>(), Err(InvalidAddress), "{text:?}");
        }
    }

    #[test]
    fn loopback_is_distinguished_from_reachable() {
        for text in [
            "127.0.0.1:1",
            "127.9.9.9:1",
            "[::1]:1",
            "[::ffff:127.0.0.1]:1",
            "LOCALHOST:1",
        ] {
            assert!(text.parse::<Address>().unwrap().is_loopback(), "{text}");
        }
        for text in ["0.0.0.0:1", "[::]:1", "192.168.0.1:1", "relay.internal:1"] {
            assert!(!text.parse::<Address>().unwrap().is_loopback(), "{text}");
        }
    }

    #[test]
    fn an_address_of_numbers_resolves_to_itself() {
        let address: Address = "[::1]:80".parse().unwrap();
        assert_eq!(address.resolve().unwrap(), ["[::1]:80".parse().unwrap()]);
    }
}
