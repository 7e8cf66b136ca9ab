//! What the relay listens on.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::Address;

/// Bytes of a Unix socket's path at most: what its address has room for, and what stands behind the
/// path until the socket is ready.
const LONGEST_PATH: usize = 100;

/// Where clients are waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// A host and a port.
    Tcp(Address),
    /// A Unix socket.
    Unix(PathBuf),
}

/// One place where clients are waited for, and what they say first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where.
    pub at: Listen,
    /// Whether each connection begins with a header of the PROXY protocol.
    pub proxy_protocol: bool,
}

/// Who may connect to Unix sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixAccess {
    /// The permissions of the file. `0o660`.
    pub mode: u32,
    /// The group that it belongs to; `None`, the default: that of the process.
    pub group: Option<Box<str>>,
}

/// A text is no place to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidListen;

impl Listen {
    /// The host and port, if it has them.
    pub fn address(&self) -> Option<&Address> {
        match self {
            Self::Tcp(address) => Some(address),
            Self::Unix(_) => None,
        }
    }

    /// Whether only this machine can reach it.
    pub fn is_loopback(&self) -> bool {
        self.address().is_none_or(Address::is_loopback)
    }
}

impl Default for UnixAccess {
    fn default() -> Self {
        Self {
            mode: 0o660,
            group: None,
        }
    }
}

impl FromStr for Listen {
    type Err = InvalidListen;

    fn from_str(text: &str) -> Result<Self, InvalidListen> {
        let Some(path) = text.strip_prefix("unix:") else {
            return text.parse().map(Self::Tcp).map_err(|_| InvalidListen);
        };
        let path = Path::new(path);
        let fits = path.is_absolute()
            && path.file_name().is_some()
            && path.as_os_str().len() <= LONGEST_PATH
            && !path.as_os_str().as_encoded_bytes().contains(&0);
        fits.then(|| Self::Unix(path.into())).ok_or(InvalidListen)
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_written() {
        for text in [
            "127.0.0.1:6001",
            "[::1]:80",
            "unix:/run/fanfare/fanfare.sock",
        ] {
            assert_eq!(text.parse::<Listen>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_texts_are_no_places() {
        let long = format!("unix:/{}", "x".repeat(LONGEST_PATH));
        for text in [
            "",
            "unix:",
            "unix:/",
            "unix:run/x.sock",
            "unix:/a\0",
            "/run/x.sock",
            &long,
        ] {
            assert_eq!(text.parse::<Listen>(), Err(InvalidListen), "{text:?}");
        }
    }

    #[test]
    fn unix_sockets_are_of_this_machine() {
        for (text, is_loopback) in [
            ("unix:/x", true),
            ("127.0.0.1:1", true),
            ("0.0.0.0:1", false),
        ] {
            assert_eq!(text.parse::<Listen>().unwrap().is_loopback(), is_loopback);
        }
    }
}
