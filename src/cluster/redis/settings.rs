//! Where Redis is, and what holds for the use of it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, RedisConnectionInfo};

/// What holds for a node that shares its channels.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where Redis is.
    pub target: Target,
    /// What every key and topic begins with.
    pub prefix: Box<str>,
    /// Silence after which a node counts as dead. 6 s.
    pub node_timeout: Duration,
    /// Bytes of events that may wait for Redis. 64 MiB.
    pub backlog_bytes: usize,
    /// Bytes of events that a channel's log keeps in Redis at most. 64 MiB.
    pub log_bytes: usize,
    /// Bytes of events that all channels' logs keep in Redis at most, about. 1 GiB.
    pub total_log_bytes: usize,
    /// Certificates that Redis is trusted with, beside those of the system.
    pub ca_certificates: Option<PathBuf>,
    /// How long departures wait for a return before they are reported to webhooks. 3 s.
    pub leave_delay: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        let target = Target::parse("redis://127.0.0.1:6379/0");
        Self {
            target: target.expect("the default is a URL of Redis"),
            prefix: "fanfare:".into(),
            node_timeout: Duration::from_secs(6),
            backlog_bytes: 64 << 20,
            log_bytes: 64 << 20,
            total_log_bytes: 1 << 30,
            ca_certificates: None,
            leave_delay: Duration::from_secs(3),
        }
    }
}

/// Where Redis is. The text forms hold no password.
#[derive(Clone)]
pub enum Target {
    /// One server.
    Single(ConnectionInfo),
    /// A Redis Cluster, by some of its servers.
    Cluster(Vec<ConnectionInfo>),
    /// A server that sentinels know.
    Sentinel(Sentinels),
}

/// The sentinels, and what they are asked for.
#[derive(Clone)]
pub struct Sentinels {
    /// Where they are.
    pub addresses: Vec<ConnectionAddr>,
    /// The name that they know the server by.
    pub service: String,
    /// How to speak to the server itself.
    pub redis: RedisConnectionInfo,
}

/// A text is no URL of Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected redis://host:port/database, rediss://…, redis+sentinel://host:port,host:port/service, \
     or a list of URLs of a Redis Cluster"
)]
pub struct InvalidTarget;

impl Target {
    /// Reads one URL: of one server, or of sentinels.
    pub fn parse(url: &str) -> Result<Self, InvalidTarget> {
        match url.strip_prefix("redis+sentinel://") {
            Some(rest) => Ok(Self::Sentinel(Sentinels::parse(rest)?)),
            None => Ok(Self::Single(server(url)?)),
        }
    }

    /// Reads the URLs of some servers of a Redis Cluster.
    pub fn parse_cluster<'u>(
        urls: impl IntoIterator<Item = &'u str>,
    ) -> Result<Self, InvalidTarget> {
        let servers: Vec<ConnectionInfo> =
            urls.into_iter().map(server).collect::<Result<_, _>>()?;
        let whole = |info: &ConnectionInfo| info.redis_settings().db() == 0;
        if !servers.is_empty() && servers.iter().all(whole) {
            Ok(Self::Cluster(servers))
        } else {
            Err(InvalidTarget)
        }
    }
}

fn server(url: &str) -> Result<ConnectionInfo, InvalidTarget> {
    let is_redis = ["redis://", "rediss://", "redis+unix://", "unix://"]
        .iter()
        .any(|scheme| url.starts_with(scheme));
    let info = url.into_connection_info().map_err(|_| InvalidTarget)?;
    is_redis.then_some(info).ok_or(InvalidTarget)
}

impl Sentinels {
    /// `[user:password@]host:port,host:port/service[/database]`
    fn parse(text: &str) -> Result<Self, InvalidTarget> {
        let (credentials, rest) = match text.rsplit_once('@') {
            Some((credentials, rest)) => (format!("{credentials}@"), rest),
            None => (String::new(), text),
        };
        let (hosts, path) = rest.split_once('/').ok_or(InvalidTarget)?;
        let (service, database) = path.split_once('/').unwrap_or((path, "0"));
        // The crate's reader knows how credentials and databases are written.
        let redis = server(&format!("redis://{credentials}localhost:1/{database}"))?;
        let addresses = hosts.split(',').map(|host| {
            let host = if host.contains(':') {
                host.to_owned()
            } else {
                format!("{host}:26379")
            };
            server(&format!("redis://{host}")).map(|info| info.addr().clone())
        });
        let addresses = addresses.collect::<Result<_, _>>()?;
        if service.is_empty() {
            Err(InvalidTarget)
        } else {
            Ok(Self {
                addresses,
                service: service.to_owned(),
                redis: redis.redis_settings().clone(),
            })
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |addresses: Vec<String>| addresses.join(", ");
        match self {
            Self::Single(info) => write!(f, "Redis at {}", info.addr()),
            Self::Cluster(servers) => {
                let addresses = servers.iter().map(|info| info.addr().to_string());
                write!(f, "the Redis Cluster of {}", list(addresses.collect()))
            }
            Self::Sentinel(sentinels) => {
                let addresses = sentinels.addresses.iter().map(ToString::to_string);
                let addresses = list(addresses.collect());
                write!(f, "{} of the sentinels {addresses}", sentinels.service)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_all_kinds_are_read_and_their_passwords_not_shown() {
        let shown = |url| Target::parse(url).unwrap().to_string();
        assert_eq!(shown("redis://:pw@h:1/2"), "Redis at h:1");
        assert_eq!(shown("rediss://u:pw@h"), "Redis at h:6379");
        assert_eq!(
            shown("redis+sentinel://:pw@a:1,b/main/3"),
            "main of the sentinels a:1, b:26379"
        );
        let cluster = Target::parse_cluster(["redis://:pw@a:1", "redis://b:2"]).unwrap();
        assert_eq!(format!("{cluster:?}"), "the Redis Cluster of a:1, b:2");
        let Ok(Target::Sentinel(sentinels)) = Target::parse("redis+sentinel://u:pw@a:1/main/3")
        else {
            panic!();
        };
        assert_eq!(sentinels.redis.db(), 3);
        assert_eq!(sentinels.redis.password(), Some("pw"));
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for url in [
            "",
            "localhost",
            "http://h",
            "redis+sentinel://a:1",
            "redis+sentinel://a:1/",
        ] {
            assert!(Target::parse(url).is_err(), "{url}");
        }
        assert!(Target::parse_cluster([]).is_err());
        assert!(Target::parse_cluster(["redis://a/1"]).is_err());
    }
}
