//! A Redis server by its URL.

use std::fmt;

use redis::{Client, ConnectionAddr, ConnectionInfo};

/// Where a Redis server is, and how to log in. Passwords never print.
#[derive(Clone)]
pub struct RedisServer(Client);

/// A text is no URL of a Redis server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected redis://[user:password@]host[:port][/database]")]
pub struct InvalidUrl;

impl RedisServer {
    /// Reads `redis://[user:password@]host[:port][/database]`. What the client cannot connect to
    /// in this build is no server either.
    pub fn parse(url: &str) -> Result<Self, InvalidUrl> {
        Client::open(url).map(Self).map_err(|_| InvalidUrl)
    }

    /// Where it is, and how to log in.
    pub fn connection_info(&self) -> &ConnectionInfo {
        self.0.get_connection_info()
    }

    /// The client that connects to it.
    pub(super) fn client(&self) -> &Client {
        &self.0
    }
}

impl Default for RedisServer {
    fn default() -> Self {
        Self::parse("redis://127.0.0.1:6379/0").expect("the URL is well-formed")
    }
}

impl fmt::Display for RedisServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = self.0.get_connection_info();
        let scheme = match server.addr() {
            ConnectionAddr::TcpTls { .. } => "rediss",
            ConnectionAddr::Unix(_) => "redis+unix",
            _ => "redis",
        };
        write!(f, "{scheme}://{}", server.addr())
    }
}

impl fmt::Debug for RedisServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{self}/{}",
            self.0.get_connection_info().redis_settings().db()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_passwords_do_not_print() {
        for (url, printed) in [
            ("redis://10.0.0.7", "redis://10.0.0.7:6379"),
            ("redis://me:s3cr3t@cache:6380/5", "redis://cache:6380"),
            ("redis://:s3cr3t@cache", "redis://cache:6379"),
            (
                "redis+unix:///run/redis.sock",
                "redis+unix:///run/redis.sock",
            ),
        ] {
            let server = RedisServer::parse(url).unwrap();
            assert_eq!(server.to_string(), printed);
            assert!(!format!("{server:?}").contains("s3cr3t"));
        }
    }

    #[test]
    fn other_texts_are_no_urls_of_servers() {
        for text in [
            "",
            "127.0.0.1:6379",
            "http://127.0.0.1",
            "redis://",
            "redis://a/b",
        ] {
            assert_eq!(RedisServer::parse(text).err(), Some(InvalidUrl), "{text}");
        }
    }
}
