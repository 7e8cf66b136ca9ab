//! The composition root: every part is built here, in order, and gets only what it needs.
//!
//! - [`listen`]: binding, before anything else is built; [`unix_socket`]: of files;
//!   [`listener`]: what is bound
//! - [`secure`]: the listener that speaks TLS, and its certificates
//! - [`accept`]: what is done with an accepted connection before anything is spoken over it;
//!   [`proxied`]: with one that a proxy begins
//! - [`worker`]: what each worker thread serves; [`http2`]: what that is over HTTP/2
//! - [`pace`]: how fast new connections are taken
//! - [`lasting`]: tasks that last as long as the process
//! - [`memory`]: how much the process has is watched
//! - [`reclaim`]: memory that is free and still held is given back
//! - [`mod@reload`]: the configuration is read again
//! - [`shutdown`]: the phases of stopping

mod accept;
mod http2;
mod lasting;
mod listen;
mod listener;
mod memory;
mod pace;
mod proxied;
mod reclaim;
mod reload;
mod secure;
mod shutdown;
mod unix_socket;
mod worker;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::Notify;

use crate::acme::{self, Acme};
use crate::admin::{self, AdminState, InUse, Keyring, Locks, Names};
use crate::clients::Clients;
use crate::cluster::{Local, Redis, redis};
use crate::config::{self, Cluster, Config, Records, Role};
use crate::database::{self, Place, Store};
use crate::hub::{Authority, Hub};
use crate::ingest::laravel_redis::LaravelRedis;
use crate::metrics::Metrics;
use crate::net::descriptors;
use crate::net::memory::Ceiling;
use crate::net::tally::{Requests, Tally};
use crate::relay::Relay;
use crate::state::Folder;
use crate::state::common::Common;
use crate::tap::Tap;
use crate::tls;
use crate::webhooks::{self, Webhooks};
use reload::{OfAdmin, Reloading};
use worker::WorkerSettings;

pub use reload::Reload;

/// Why the relay could not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address} ({key}): {source}{}", remedy(key, source))]
    Bind {
        /// The address as configured.
        address: String,
        /// The key in the configuration.
        key: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused something else that is needed.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A certificate cannot be served.
    #[error(transparent)]
    Certificate(#[from] tls::FileError),
    /// TLS cannot be spoken.
    #[error("cannot speak TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// Webhooks cannot be sent.
    #[error(transparent)]
    Webhooks(#[from] webhooks::StartError),
    /// A certificate cannot be ordered, or not be kept.
    #[error(transparent)]
    Acme(#[from] acme::StartError),
    /// Channels cannot be shared with other nodes.
    #[error(transparent)]
    Cluster(#[from] redis::UnreadableCertificates),
}

impl ServeError {
    fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}

/// Which flag helps where another program has the address.
fn remedy(key: &str, source: &io::Error) -> &'static str {
    match (source.kind(), key) {
        (io::ErrorKind::AddrInUse, "admin.listen") => {
            "; --admin-listen HOST:PORT takes another address, --admin-listen '' none"
        }
        (io::ErrorKind::AddrInUse, "tls.listen") => "",
        (io::ErrorKind::AddrInUse, _) => "; --listen HOST:PORT takes another address",
        _ => "",
    }
}

/// The addresses that were bound, for whoever started the relay.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// Where WebSockets and the HTTP API are served, if that is over TCP.
    pub public: Option<SocketAddr>,
    /// Where operators are served, if that is over TCP.
    pub admin: Option<SocketAddr>,
}

/// How long the start waits for the apps of the database. What comes later is served from then on.
const FIRST_LOOK: Duration = Duration::from_secs(1);

/// How often counts that are due and expired events are looked for.
const HOUSEKEEPING: Duration = Duration::from_millis(500);

/// Serves until `stop_requested` is ready, and then stops in good order. `greet` is called with
/// the addresses once they are bound. What changes of the configuration is taken over by `reload`.
pub fn run(
    config: Config,
    reload: Reload,
    greet: impl FnOnce(Bound),
    stop_requested: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let files = service::net::descriptors::raise_limit()
        .map_err(ServeError::system("read the file limit"))?;
    let (public, _socket_files) = listen::bind_public(&config.server)?;
    let admin = listen::bind_admin(&config.admin, &config.server.unix_access)?;

    let port = listen::first_address(&public).map(|address| address.port());
    let metrics = Metrics::named(&config.metrics, port);
    let (over_tls, certificates) = secure::listen(&config.tls, &metrics)?.unzip();
    let (authority, common) = authority(&config, &metrics)?;
    let acme = acme(&config, certificates.as_ref(), common, &metrics)?;
    let (hub, webhooks) = hub(&config, files, metrics)?;
    authority
        .start(Arc::clone(hub.apps()))
        .map_err(ServeError::system("start to share channels"))?;
    let relay = relay(&config.server, hub, authority);
    let apps = apps_store(&config, &relay, &webhooks);
    apps.start(FIRST_LOOK)
        .map_err(ServeError::system("start to read the database of apps"))?;

    let system = actix_rt::System::new();
    system.block_on(async {
        let (reclaim, reclaim_requests) = tokio::sync::watch::channel(0);
        let (stop, begun) = tokio::sync::watch::channel(false);
        let multiplexed = Arc::new(Tally::default());
        let of_http2 = http2::Stop {
            begun,
            connections: Arc::clone(&multiplexed),
        };
        let metrics = relay.hub.metrics();
        let shown = acme.as_ref().map(Acme::shown);
        let settings =
            WorkerSettings::new(&config, files, metrics, shown, reclaim_requests, of_http2);
        let first_address = listen::first_address(&public);
        let names: Vec<String> = public.iter().map(|one| one.name.clone()).collect();
        let tls_addresses = over_tls.as_ref().map(|it| listen::addresses(&it.listeners));
        let tls_addresses = tls_addresses.unwrap_or_default();
        let server = worker::start(
            public,
            over_tls,
            config.server.worker_threads(),
            Arc::clone(&relay),
            settings,
        )
        .map_err(ServeError::system("start the workers"))?;
        let (admin_names, admin_address, _file) = (admin.names, admin.first_address, admin.file);
        let stop_asked = Arc::new(Notify::new());
        let process = (files, reclaim.subscribe());
        let (admin, shown) =
            start_admin(admin.bound, process, &config, &relay, &apps, &stop_asked)?;
        listen::announce("public", &names);
        listen::announce("tls", &tls_addresses);
        listen::announce("admin", &admin_names);
        greet(Bound {
            public: first_address,
            admin: admin_address,
        });

        lasting::begin("housekeeping", keep_house(Arc::clone(&relay)));
        reclaim::begin(reclaim);
        lasting::begin("memory", memory::watch(Arc::clone(&relay)));
        lasting::begin("webhooks", webhooks.watch_due());
        if let Some(certificates) = certificates {
            lasting::begin("certificates", certificates.watch(metrics.clone()));
        }
        let reloading = Reloading::new(reload, &config, &relay, &webhooks, shown);
        lasting::begin("reload", reloading.run());
        let ingest = start_ingest(&config, &relay);
        let turn = acme.as_ref().and_then(Acme::turn);
        let acme = acme.map(|acme| lasting::begin("acme", acme.run()));
        either(stop_requested, &stop_asked).await;
        let ended = ingest.into_iter().chain(acme);
        ended.for_each(|task| task.abort());
        let limit = config.server.shutdown_timeout;
        let parts = shutdown::Parts {
            relay: &relay,
            webhooks: &webhooks,
            stop: &stop,
            multiplexed: &multiplexed,
        };
        // The way to the other nodes ends with the rest.
        tokio::join!(give_up(turn), shutdown::run(parts, server, admin, limit));
        apps.stop();
        Ok(())
    })
}

/// Waits until a stop is requested of the process, or of its admin listener.
async fn either(requested: impl Future<Output = ()>, asked: &Notify) {
    tokio::select! {
        () = requested => {}
        () = asked.notified() => {}
    }
}

/// Who decides about channels, and what the nodes keep together, if there are several.
type Shared = (Arc<dyn Authority>, Option<Arc<dyn Common>>);

fn authority(config: &Config, metrics: &Metrics) -> Result<Shared, ServeError> {
    match &config.cluster {
        Cluster::Local => Ok((Arc::new(Local), None)),
        Cluster::Redis(settings) => {
            let redis = Redis::new((**settings).clone(), metrics)?;
            let common = redis.common();
            if matches!(config.apps_database.place, Place::Url(_)) {
                redis.follow_apps();
            }
            Ok((Arc::new(redis), Some(common)))
        }
    }
}

/// The apps at work, in a process that may have so many files open, and what reports of them.
fn hub(config: &Config, files: u64, metrics: Metrics) -> Result<(Hub, Webhooks), ServeError> {
    let most = config.server.max_connections;
    let most = most.unwrap_or_else(|| descriptors::sockets_within(files));
    let webhooks = Webhooks::new(config.webhooks.clone());
    if config.apps.iter().any(|app| !app.webhooks.is_empty()) {
        webhooks.start()?;
    }
    let hub = Hub::new(&config.apps, &webhooks, metrics, most)
        .with_compression(config.compression.unwrap_or_default());
    // Those of the database's apps come later.
    if !config.apps_database.place.is_there() {
        webhooks.all_begun();
    }
    Ok((hub, webhooks))
}

/// The apps that come from a database.
fn apps_store(config: &Config, relay: &Arc<Relay>, webhooks: &Webhooks) -> Store {
    let records = Records::new(config);
    let read = Arc::new(move |settings: &_| records.read(settings));
    let settings = config.apps_database.clone();
    if let Some(concern) = settings.concern(config.cluster.is_shared()) {
        tracing::warn!("{concern}");
    }
    Store::new(database::Parts::new(
        settings,
        read,
        relay,
        webhooks,
        reclaim::now,
    ))
}

fn relay(server: &config::Server, hub: Hub, authority: Arc<dyn Authority>) -> Arc<Relay> {
    let trusted_proxies = Arc::new(server.trusted_proxies.clone());
    let entries = &hub.metrics().process().table_entries;
    let limits = &server.client_limits;
    Arc::new(Relay {
        clients: Clients::new(trusted_proxies, limits, entries, Instant::now()),
        hub,
        authority,
        tap: Tap::new(),
        requests: Requests::default(),
        memory: Ceiling::new(server.memory_bytes),
        is_outdated: AtomicBool::new(false),
    })
}

/// The certificate that is to be ordered, if one is.
fn acme(
    config: &Config,
    served: Option<&secure::Served>,
    common: Option<Arc<dyn Common>>,
    metrics: &Metrics,
) -> Result<Option<Acme>, ServeError> {
    let (Some(settings), Some(served)) = (&config.tls.acme, served) else {
        return Ok(None);
    };
    let state = Folder::new(&config.server.state_dir);
    let acme = Acme::new(
        settings.clone(),
        &state,
        common,
        served.certificates(),
        metrics,
    )?;
    Ok(Some(acme))
}

/// Starts the listener for operators, if there is one, in a process that may have so many files open, and that asks
/// for memory back; with what of it changes as the configuration is read again.
fn start_admin(
    listeners: Vec<admin::Bound>,
    (files, reclaim): (u64, tokio::sync::watch::Receiver<u64>),
    config: &Config,
    relay: &Arc<Relay>,
    apps: &Store,
    stop: &Arc<Notify>,
) -> Result<(Option<actix_web::dev::ServerHandle>, OfAdmin), ServeError> {
    let of_admin = OfAdmin {
        keyring: Arc::new(Keyring::new(config.admin.tokens.clone())),
        config: Arc::new(InUse::new(config::shown(config))),
    };
    if listeners.is_empty() {
        return Ok((None, of_admin));
    }
    let address = config.admin.address();
    let bound = address.map(|address| address.host().to_lowercase().into());
    let hosts = config.admin.hosts.iter().cloned();
    let names = Names {
        own: hosts.chain(bound).collect(),
        without_dot: address.is_some_and(|address| !address.is_loopback()),
    };
    let state = AdminState {
        relay: Arc::clone(relay),
        apps: apps.clone(),
        names,
        config: Arc::clone(&of_admin.config),
        relay_settings: config.relay_settings(),
        started_at: SystemTime::now(),
        stop: Arc::clone(stop),
    };
    let locks = Locks {
        keyring: Arc::clone(&of_admin.keyring),
        open_metrics: config.admin.open_metrics,
    };
    let limits = admin::Limits {
        connections: descriptors::admin_within(files),
        write_timeout: config.server.write_timeout,
    };
    let on_thread = move || reclaim::keep_on_this_thread(&reclaim);
    let server = admin::server(listeners, limits, state, locks, on_thread)
        .map_err(ServeError::system("start the admin listener"))?;
    let handle = server.handle();
    actix_rt::spawn(server);
    Ok((Some(handle), of_admin))
}

/// Takes in what Laravel publishes on Redis, if it is to be and there is anybody to get it.
fn start_ingest(config: &Config, relay: &Arc<Relay>) -> Option<actix_rt::task::JoinHandle<()>> {
    let settings = &config.laravel_redis;
    if !settings.enabled || config.server.role == Role::Api {
        return None;
    }
    // What the nodes send each other may pass through the same Redis.
    let not_laravels = match &config.cluster {
        Cluster::Local => Vec::new(),
        Cluster::Redis(settings) => vec![settings.prefix.clone()],
    };
    let ingest = LaravelRedis::new(Arc::clone(relay), settings.clone(), not_laravels);
    Some(lasting::begin("laravel_redis", ingest.run()))
}

/// Lets other nodes order a certificate.
async fn give_up(turn: Option<acme::Turn>) {
    if let Some(turn) = turn {
        turn.give_up().await;
    }
}

async fn keep_house(relay: Arc<Relay>) {
    let mut ticks = tokio::time::interval(HOUSEKEEPING);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        relay.hub.housekeeping(Instant::now());
    }
}
