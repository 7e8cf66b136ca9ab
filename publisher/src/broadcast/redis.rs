//! The driver `redis`.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{
    Client, Cmd, ConnectionInfo, ErrorKind, IntoConnectionInfo as _, RedisConnectionInfo,
    RedisError,
};

use super::{Broadcast, BroadcastFuture, Broadcaster};
use crate::json::{Json, Object, to_php};
use crate::refusal::in_one_line;
use crate::{Error, Invalid, Retry};

/// Source: laravel/framework, `RedisBroadcaster::broadcastMultipleChannelsScript`. Returns how many
/// listen on this server, beside.
const SCRIPT: &str = "local listeners = 0
for i = 2, #ARGV do
  listeners = listeners + redis.call('publish', ARGV[i], ARGV[1])
end
return listeners";

/// Where the driver [`redis`](RedisBroadcaster) publishes. Passwords never print.
#[derive(Clone)]
#[must_use = "a configuration does nothing until a driver is made of it"]
pub struct RedisConfig {
    server: ConnectionInfo,
    prefix: String,
    connect_timeout: Duration,
    timeout: Duration,
    retry: Retry,
}

impl RedisConfig {
    /// A server by its URL, `redis://[user:password@]host[:port][/database]`; `rediss://` needs
    /// this crate's feature `redis-tls`. The error names `url`.
    pub fn new(url: &str) -> Result<Self, Invalid> {
        let server = url
            .into_connection_info()
            .map_err(|error| Invalid::new("url", error.to_string()))?;
        Ok(Self::of(server))
    }

    fn of(server: ConnectionInfo) -> Self {
        Self {
            server,
            prefix: String::new(),
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            retry: Retry::default(),
        }
    }

    /// A server by its host name or address, and port.
    pub(super) fn at(host: &str, port: u16) -> Self {
        let server = (host, port).into_connection_info();
        Self::of(server.expect("a host and a port are an address as they are"))
    }

    /// Logs in, where there is a password.
    pub(super) fn login(self, username: Option<&str>, password: Option<&str>) -> Self {
        let mut login = self.server.redis_settings().clone();
        if let Some(password) = password {
            login = login.set_password(password);
            if let Some(username) = username {
                login = login.set_username(username);
            }
        }
        self.settings(login)
    }

    /// Uses a database of this number. (To channels they make no difference.)
    pub(super) fn database(self, number: i64) -> Self {
        let settings = self.server.redis_settings().clone();
        self.settings(settings.set_db(number))
    }

    fn settings(mut self, settings: RedisConnectionInfo) -> Self {
        self.server = self.server.set_redis_settings(settings);
        self
    }

    /// What stands before the channels' names: Laravel's `database.redis.options.prefix`;
    /// default: nothing.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How long a connection may take to be made; default: 10 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long the server may take to answer; default: 30 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// What is tried again; default: [`Retry::default`]. A connection that breaks just when an
    /// event is under way may bring it to subscribers twice.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }
}

#[cfg(test)]
impl RedisConfig {
    /// Address, database, user, password and prefix.
    pub(super) fn summary(&self) -> (String, i64, Option<String>, Option<String>, String) {
        let login = self.server.redis_settings();
        (
            self.server.addr().to_string(),
            login.db(),
            login.username().map(str::to_owned),
            login.password().map(str::to_owned),
            self.prefix.clone(),
        )
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConfig")
            .field("address", self.server.addr())
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// Publishes to Redis just as Laravel's `RedisBroadcaster`, for servers that listen there.
///
/// It connects with the first event, and again whenever it has lost its connection. It needs a
/// Tokio runtime. Clones share the connection. When it publishes for the first time what nobody
/// listens for, it logs a warning.
#[derive(Clone)]
pub struct RedisBroadcaster {
    client: Client,
    connection: Arc<Mutex<Option<ConnectionManager>>>,
    /// Whether it was logged that nobody listens.
    is_logged: Arc<AtomicBool>,
    config: RedisConfig,
}

impl RedisBroadcaster {
    /// Publishes to this server. Nothing is connected yet.
    pub fn new(config: RedisConfig) -> Result<Self, Invalid> {
        #[cfg(feature = "redis-tls")]
        crate::tls::choose_provider();
        let client = Client::open(config.server.clone())
            .map_err(|error| Invalid::new("url", error.to_string()))?;
        Ok(Self {
            client,
            connection: Arc::default(),
            is_logged: Arc::default(),
            config,
        })
    }

    async fn publish(&self, broadcast: &Broadcast) -> Result<(), Error> {
        if broadcast.channels().is_empty() {
            return Ok(());
        }
        let mut command = redis::cmd("EVAL");
        command.arg(SCRIPT).arg(0).arg(message(broadcast)?);
        for channel in broadcast.channels() {
            command.arg(format!("{}{channel}", self.config.prefix));
        }
        let command = &command;
        let attempt = |time_left| self.execute(command, time_left);
        let listeners = self.config.retry.run(attempt).await?;
        if listeners == 0 && !self.is_logged.swap(true, Ordering::Relaxed) {
            let prefix = &self.config.prefix;
            tracing::warn!(
                prefix,
                "nobody listens on this Redis server for what is published: the relay needs the same \
                 server and prefix (REDIS_PREFIX)"
            );
        }
        Ok(())
    }

    /// Returns how many listen.
    async fn execute(&self, command: &Cmd, time_left: Duration) -> Result<u64, Error> {
        let mut connection = self.connection()?;
        let done = command.query_async::<u64>(&mut connection);
        let Ok(done) = tokio::time::timeout(time_left, done).await else {
            return Err(Error::unavailable("there was no answer in time"));
        };
        done.map_err(|error| {
            // The manager connects again after errors of the network. One that was refused, such
            // as for a password that is right by now, it would hold for ever.
            if !error.is_io_error() {
                *self.lock() = None;
            }
            judge(error)
        })
    }

    /// The connection that is shared by all that is under way.
    fn connection(&self) -> Result<ConnectionManager, Error> {
        let mut connection = self.lock();
        if let Some(connection) = &*connection {
            return Ok(connection.clone());
        }
        let settings = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(self.config.connect_timeout))
            .set_response_timeout(Some(self.config.timeout))
            // Trying again is this driver's own affair.
            .set_number_of_retries(0);
        let made = ConnectionManager::new_lazy_with_config(self.client.clone(), settings)
            .map_err(judge)?;
        Ok(connection.insert(made).clone())
    }

    fn lock(&self) -> MutexGuard<'_, Option<ConnectionManager>> {
        // What it guards is never half changed.
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Source: laravel/framework, `RedisBroadcaster::broadcast`; `socket` stays in the payload, too.
fn message(broadcast: &Broadcast) -> Result<String, Invalid> {
    Ok(to_php(&Object::of([
        ("event", Json::String(broadcast.event().to_owned())),
        ("data", Json::Object(broadcast.payload_with_socket()?)),
        ("socket", broadcast.socket()),
    ])))
}

/// Source: the Redis documentation, "RESP protocol", and the prefixes of the server's errors.
fn judge(error: RedisError) -> Error {
    let message = in_one_line(&error.to_string());
    match error.code() {
        _ if error.is_io_error() => Error::unavailable(message),
        _ if error.kind() == ErrorKind::AuthenticationFailed => Error::Unauthorized { message },
        Some("NOAUTH" | "WRONGPASS" | "NOPERM") => Error::Unauthorized { message },
        Some(
            "LOADING" | "BUSY" | "TRYAGAIN" | "MASTERDOWN" | "CLUSTERDOWN" | "READONLY" | "MISCONF"
            | "OOM",
        ) => Error::unavailable(message),
        _ => Error::Rejected {
            status: None,
            message,
        },
    }
}

impl Broadcaster for RedisBroadcaster {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn broadcast<'a>(&'a self, broadcast: &'a Broadcast) -> BroadcastFuture<'a> {
        Box::pin(self.publish(broadcast))
    }
}

impl fmt::Debug for RedisBroadcaster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBroadcaster")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Channel, SocketId};

    #[test]
    fn a_message_is_what_laravel_sends() {
        let broadcast = Broadcast::new("e", [Channel::public("c")], &serde_json::json!({"a": 1}));
        let broadcast = broadcast.unwrap();
        assert_eq!(
            message(&broadcast).unwrap(),
            r#"{"event":"e","data":{"a":1,"socket":null},"socket":null}"#
        );
        let broadcast = broadcast.to_others(Some(SocketId::parse("1.2").unwrap()));
        assert_eq!(
            message(&broadcast).unwrap(),
            r#"{"event":"e","data":{"a":1,"socket":"1.2"},"socket":"1.2"}"#
        );
    }

    #[test]
    fn errors_name_what_the_caller_can_do() {
        use redis::ServerErrorKind as Server;

        let of = |kind: ErrorKind| judge(RedisError::from((kind, "words")));
        for kind in [Server::BusyLoading, Server::ReadOnly, Server::TryAgain] {
            let error = of(ErrorKind::Server(kind));
            assert!(matches!(error, Error::Unavailable { .. }), "{error}");
        }
        for kind in [ErrorKind::AuthenticationFailed, Server::NoPerm.into()] {
            let error = of(kind);
            assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
        }
        let error = judge(std::io::Error::other("gone").into());
        assert!(matches!(error, Error::Unavailable { .. }), "{error}");
        let error = of(ErrorKind::Server(Server::ResponseError));
        assert!(
            matches!(error, Error::Rejected { status: None, .. }),
            "{error}"
        );
    }

    #[test]
    fn passwords_do_not_print() {
        let config = RedisConfig::new("redis://user:hidden@127.0.0.1").unwrap();
        assert!(!format!("{config:?}").contains("hidden"));
        let broadcaster = RedisBroadcaster::new(config).unwrap();
        assert!(!format!("{broadcaster:?}").contains("hidden"));
    }
}
