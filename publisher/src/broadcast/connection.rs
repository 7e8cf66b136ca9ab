//! Which driver, and its settings.

use std::collections::HashMap;
use std::sync::Arc;

use super::environment::Environment;
#[cfg(feature = "ably")]
use super::{AblyBroadcaster, AblyConfig};
use super::{Broadcaster, LogBroadcaster, NullBroadcaster, PusherBroadcaster};
#[cfg(feature = "redis")]
use super::{RedisBroadcaster, RedisConfig};
use crate::{Client, Config, Invalid};

/// A driver with its settings, as Laravel's `config/broadcasting.php` has them.
///
/// | variable | meaning |
/// | --- | --- |
/// | `BROADCAST_CONNECTION`, `BROADCAST_DRIVER` | the driver: `pusher`, `log`, `redis`, `ably` or `null`; default: `log` |
/// | `PUSHER_APP_ID`, `_KEY`, `_SECRET` | the app of `pusher`; required |
/// | `PUSHER_HOST`, `PUSHER_PORT`, `PUSHER_SCHEME` | its server; default: `127.0.0.1`, 6001 (with TLS 443) and `http` |
/// | `PUSHER_APP_CLUSTER` | without a host: Pusher itself, at `api-{cluster}.pusher.com` with TLS, as in Laravel. A host wins |
/// | `PUSHER_ENCRYPTION_MASTER_KEY_BASE64` | for encrypted channels; Laravel has no variable for it |
/// | `REDIS_URL`, or `REDIS_HOST`, `_PORT`, `_USERNAME`, `_PASSWORD`, `_DB` | the server of `redis`; default: `127.0.0.1`, 6379, database 0 |
/// | `REDIS_PREFIX` | before the channels' names; default: `{slug of APP_NAME}-database-`, as in Laravel 13 |
/// | `APP_NAME` | default: `Laravel` |
/// | `ABLY_KEY` | the key of `ably`; required |
/// | `ABLY_ENDPOINT` | another server than Ably's; Laravel has no variable for it |
///
/// As in Laravel, an empty variable and `null` mean the same as none.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one in a process, for a moment"
)]
pub enum Connection {
    /// The driver `pusher`.
    Pusher(Config),
    /// The driver `log`.
    Log,
    /// The driver `redis`.
    #[cfg(feature = "redis")]
    Redis(RedisConfig),
    /// The driver `ably`.
    #[cfg(feature = "ably")]
    Ably(AblyConfig),
    /// The driver `null`.
    Null,
}

impl Connection {
    /// The driver that the environment names. The error names the variable that is missing or
    /// wrong.
    ///
    /// ```
    /// use publisher::Connection;
    ///
    /// let environment = std::env::vars().collect();
    /// let broadcaster = Connection::from_env(&environment)?.broadcaster()?;
    /// assert_eq!(broadcaster.name(), "log");
    /// # Ok::<(), publisher::Invalid>(())
    /// ```
    pub fn from_env(environment: &HashMap<String, String>) -> Result<Self, Invalid> {
        let environment = Environment::new(environment);
        let (variable, driver) = environment.driver()?;
        match driver {
            "pusher" => environment.pusher().map(Self::Pusher),
            "log" => Ok(Self::Log),
            #[cfg(feature = "redis")]
            "redis" => environment.redis().map(Self::Redis),
            #[cfg(feature = "ably")]
            "ably" => environment.ably().map(Self::Ably),
            "null" => Ok(Self::Null),
            other => Err(Invalid::new(
                variable,
                format!("must be pusher, log, redis, ably or null, not {other:?}"),
            )),
        }
    }

    /// The driver, ready to be shared. Nothing is connected yet; an error names the setting that
    /// is wrong.
    pub fn broadcaster(self) -> Result<Arc<dyn Broadcaster>, Invalid> {
        Ok(match self {
            Self::Pusher(config) => Arc::new(PusherBroadcaster::new(Client::new(config)?)),
            Self::Log => Arc::new(LogBroadcaster::new()),
            #[cfg(feature = "redis")]
            Self::Redis(config) => Arc::new(RedisBroadcaster::new(config)?),
            #[cfg(feature = "ably")]
            Self::Ably(config) => Arc::new(AblyBroadcaster::new(config)?),
            Self::Null => Arc::new(NullBroadcaster),
        })
    }
}

impl Config {
    /// The app and the server that `PUSHER_…` name in the environment, whatever the driver; see
    /// [`Connection`]. The error names the variable that is missing or wrong.
    pub fn from_env(environment: &HashMap<String, String>) -> Result<Self, Invalid> {
        Environment::new(environment).pusher()
    }
}
