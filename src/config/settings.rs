//! What the process runs with.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use service::net::proxies::TrustedProxies;

use super::Address;
use super::listener::{Listen, Listener, UnixAccess};
use crate::acme;
use crate::admin::Tokens;
use crate::apps::Registry;
use crate::clients::ClientLimits;
use crate::cluster::redis;
use crate::database;
use crate::doctor::RelaySettings;
use crate::ingest::laravel_redis;
use crate::metrics::MetricsSettings;
use crate::net::rate::Rate;
use crate::protocol::Compression;
use crate::tls;
use crate::webhooks;

/// A whole configuration; every value in it is valid.
#[derive(Clone, Debug)]
pub struct Config {
    /// The public listener and what holds for every connection.
    pub server: Server,
    /// TLS in the relay itself.
    pub tls: Tls,
    /// Whom the node shares its channels with.
    pub cluster: Cluster,
    /// What holds for all webhooks.
    pub webhooks: webhooks::Settings,
    /// How events are compressed for connections that agree on it; `None`: none does.
    pub compression: Option<Compression>,
    /// What Laravel publishes on Redis, and whether it is taken in.
    pub laravel_redis: laravel_redis::Settings,
    /// The listener for operators.
    pub admin: Admin,
    /// Under which names numbers are exported.
    pub metrics: MetricsSettings,
    /// The log on stderr.
    pub log: Log,
    /// The database that more apps come from, which may not be there yet.
    pub apps_database: database::Settings,
    /// The apps; at least one, unless there is a database of them.
    pub apps: Registry,
    /// Whether no app was configured, and no database of apps, so that the only one is the development app (id, key
    /// and secret `local`).
    pub development: bool,
}

impl Config {
    /// What the doctor goes by.
    pub fn relay_settings(&self) -> RelaySettings {
        RelaySettings {
            path_prefix: self.server.path_prefix.clone(),
            webhooks: self.webhooks.clone(),
            redis: match &self.cluster {
                Cluster::Redis(settings) => Some(settings.clone()),
                Cluster::Local => None,
            },
            apps_database: self.apps_database.clone(),
            laravel_redis: self
                .laravel_redis
                .enabled
                .then(|| self.laravel_redis.url.clone()),
        }
    }
}

/// The public listener and what holds for every connection.
#[derive(Clone, Debug)]
pub struct Server {
    /// What the process is there for. Everything.
    pub role: Role,
    /// Where WebSockets and the HTTP API are served, at least one. `127.0.0.1:6001`.
    pub listen: Vec<Listener>,
    /// Who may connect to those that are Unix sockets.
    pub unix_access: UnixAccess,
    /// Proxies that are believed about those for whom they ask. None.
    pub trusted_proxies: TrustedProxies,
    /// What all public paths begin with: empty, or `/segment` once or more. Empty.
    pub path_prefix: Box<str>,
    /// Worker threads; `None`, the default: one a core.
    pub workers: Option<usize>,
    /// What clients are sent, and how long one may be silent before it is pinged. 120 s.
    pub activity_timeout: Duration,
    /// How long a pinged client may take to show life. 30 s.
    pub pong_timeout: Duration,
    /// Sockets that the process serves at one time; `None`, the default: what the limit on
    /// open files allows.
    pub max_connections: Option<usize>,
    /// How much one client may do. Anything.
    pub client_limits: ClientLimits,
    /// How fast each worker takes new connections; `None`, the default: as fast as it can.
    pub pace: Option<Rate>,
    /// Bytes of memory beyond which no new connections are taken; `None`, the default: no limit.
    pub memory_bytes: Option<u64>,
    /// From the first byte of a request to the end of its head. 5 s.
    pub request_head_timeout: Duration,
    /// From the first byte of a request to its answer. 30 s.
    pub request_timeout: Duration,
    /// How long an HTTP connection may wait for its next request. 75 s.
    pub keep_alive: Duration,
    /// Bytes of HTTP bodies that may be on their way at one time. 64 MiB.
    pub http_backlog_bytes: usize,
    /// From the first byte of a WebSocket message to its last. 30 s.
    pub message_timeout: Duration,
    /// How long a peer may take nothing of what waits to be written to it. 10 s.
    pub write_timeout: Duration,
    /// How long a connection that HTTP requests carry may be without one. 10 s.
    pub fallback_timeout: Duration,
    /// How long a client may take to answer a close. 5 s.
    pub close_timeout: Duration,
    /// How long a stop may take before what is left is dropped. 10 s.
    pub shutdown_timeout: Duration,
    /// The folder of what outlasts the process. It is made when there is something to keep. `state`.
    pub state_dir: PathBuf,
}

impl Server {
    /// The addresses of its listeners that have one.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.listen.iter().filter_map(|one| one.at.address())
    }

    /// Worker threads, with one a core where none are configured.
    pub fn worker_threads(&self) -> usize {
        self.workers
            .unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from))
    }
}

impl Default for Server {
    fn default() -> Self {
        Self {
            role: Role::Relay,
            listen: vec![Listener {
                at: Listen::Tcp(Address::loopback(6001)),
                proxy_protocol: false,
            }],
            unix_access: UnixAccess::default(),
            trusted_proxies: TrustedProxies::default(),
            path_prefix: "".into(),
            workers: None,
            activity_timeout: Duration::from_secs(30),
            pong_timeout: Duration::from_secs(30),
            max_connections: None,
            client_limits: ClientLimits::default(),
            pace: None,
            memory_bytes: None,
            request_head_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            keep_alive: Duration::from_secs(75),
            http_backlog_bytes: 64 << 20,
            message_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(10),
            fallback_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(5),
            shutdown_timeout: Duration::from_secs(10),
            state_dir: "state".into(),
        }
    }
}

/// TLS in the relay itself.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Where the same is served over TLS as on the public listener; `None`, the default: nowhere.
    pub listen: Option<Address>,
    /// Whether each connection there begins with a header of the PROXY protocol. No.
    pub proxy_protocol: bool,
    /// Whether HTTP/2 is spoken there, with clients that offer it. Yes.
    pub http2: bool,
    /// The certificates; the first is for whoever asks for none of their names.
    pub pairs: Vec<tls::Pair>,
    /// One more, which an authority issues; `None`, the default: there is none.
    pub acme: Option<acme::Settings>,
    /// The oldest version that is spoken. 1.2.
    pub minimum: tls::Minimum,
    /// How long a handshake may take. 10 s.
    pub handshake_timeout: Duration,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            listen: None,
            proxy_protocol: false,
            http2: true,
            pairs: Vec::new(),
            acme: None,
            minimum: tls::Minimum::default(),
            handshake_timeout: Duration::from_secs(10),
        }
    }
}

/// Whom a node shares its channels with.
#[derive(Clone, Debug, Default)]
pub enum Cluster {
    /// Nobody.
    #[default]
    Local,
    /// All nodes with the same prefix on the same Redis.
    Redis(Box<redis::Settings>),
}

impl Cluster {
    /// Whether there may be other nodes.
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Redis(_))
    }
}

/// What a process is there for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// WebSockets and the HTTP API.
    #[default]
    Relay,
    /// The HTTP API alone.
    Api,
}

/// The listener for operators.
#[derive(Clone, Debug)]
pub struct Admin {
    /// Where metrics, the live stream and the admin API are served; `None`: not at all. `127.0.0.1:9601`.
    pub listen: Option<Listen>,
    /// Names to answer to beside that which is bound, in lower case. None.
    pub hosts: Vec<Box<str>>,
    /// What opens it; none, the default, only where nobody but this machine can ask.
    pub tokens: Tokens,
    /// The files that tokens were read from.
    pub token_files: Vec<PathBuf>,
    /// Whether metrics are served without a token all the same. No.
    pub open_metrics: bool,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            listen: Some(Listen::Tcp(Address::loopback(9601))),
            hosts: Vec::new(),
            tokens: Tokens::default(),
            token_files: Vec::new(),
            open_metrics: false,
        }
    }
}

impl Admin {
    /// Whether `listen` is the default, for which any free port can stand in.
    pub fn is_default(&self) -> bool {
        self.listen == Self::default().listen
    }

    /// Its host and port, if it has them.
    pub fn address(&self) -> Option<&Address> {
        self.listen.as_ref()?.address()
    }
}

/// The log on stderr.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// For whom it is written.
    pub format: LogFormat,
    /// The least important that is written.
    pub level: LogLevel,
}

/// For whom the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// People at a terminal.
    #[default]
    Human,
    /// Programs: one JSON object a line.
    Json,
}

/// How important a line of the log is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// Something is broken.
    Error,
    /// Something may be wrong.
    Warn,
    /// What an operator wants to know in normal times.
    #[default]
    Info,
    /// Clients' mistakes too.
    Debug,
    /// Everything.
    Trace,
}
