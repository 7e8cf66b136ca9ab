//! Socket ids.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Invalid;

/// The id of one client's connection, which the client sends to its backend (`socket_id` when it
/// asks for authorisation, the header `X-Socket-ID` with other requests).
///
/// Source: the official server libraries, which accept `\d+\.\d+` only. That is also what keeps
/// whoever asks for a signature from having other texts signed than they seem to ask for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SocketId(Box<str>);

impl SocketId {
    /// Checks an id; the error names `socket_id`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let digits =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        match text.split_once('.') {
            Some((high, low)) if digits(high) && digits(low) && text.len() <= Self::LONGEST => {
                Ok(Self(text.into()))
            }
            _ => Err(Invalid::new(
                "socket_id",
                "must be two decimal numbers joined by a dot, such as 123.456",
            )),
        }
    }

    /// Characters of the longest id that is taken for one: a bound for what strangers send.
    const LONGEST: usize = 100;

    /// The id as on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SocketId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::parse(text)
    }
}

impl TryFrom<String> for SocketId {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(&text)
    }
}

impl From<SocketId> for String {
    fn from(id: SocketId) -> Self {
        id.0.into()
    }
}

impl fmt::Display for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_two_numbers_joined_by_a_dot_are_an_id() {
        assert_eq!(SocketId::parse("1234.5678").unwrap().as_str(), "1234.5678");
        for bad in [
            "",
            "1",
            "1.",
            ".1",
            "a.b",
            "1.2.3",
            " 1.2",
            "1.2\n",
            "-1.2",
            "１.2",
            "1.2:private-x",
        ] {
            assert_eq!(
                SocketId::parse(bad).unwrap_err().field,
                "socket_id",
                "{bad:?}"
            );
        }
        assert!(SocketId::parse(&format!("1.{}", "2".repeat(200))).is_err());
    }
}
