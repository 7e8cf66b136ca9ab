//! All of it at work: what is built in which order, and how it ends.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread::available_parallelism;
use std::time::Duration;

use actix_cors::Cors;
use actix_web::dev::{Server, ServiceResponse};
use actix_web::middleware::{DefaultHeaders, from_fn};
use actix_web::web::Data;
use actix_web::{App, HttpServer, middleware};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::auth::attempts::Attempts;
use crate::auth::password::{PasswordError, Passwords};
use crate::auth::sessions::Sessions;
use crate::http::{self, Signing};
use crate::metrics::Metrics;
use crate::outbox::{Dispatcher, Target, Wake, prune_for_ever};
use crate::settings::{Origins, Settings};
use crate::store::{Database, Store, StoreError};
use crate::whatsapp::graph::Graph;

/// How long requests that are under way may take after the order to stop, in seconds.
const FINISH_REQUESTS: u64 = 20;
/// How long the last pass of the outbox may take.
const FINISH_OUTBOX: Duration = Duration::from_secs(10);
/// How long a connection is kept between requests.
const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// How long a client may take for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Why the service cannot start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        reason: io::Error,
    },
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The broadcast driver cannot be used.
    #[error("cannot broadcast: {0}")]
    Broadcast(#[from] publisher::Invalid),
    /// The client for WhatsApp cannot be made.
    #[error("cannot prepare to send to WhatsApp: {0}")]
    Whatsapp(#[from] reqwest::Error),
    /// Passwords cannot be checked.
    #[error(transparent)]
    Passwords(#[from] PasswordError),
    /// The server failed.
    #[error("the server failed: {0}")]
    Server(#[from] io::Error),
}

/// Serves until `told_to_stop`, then finishes requests, sends what waits, and closes the database.
pub async fn run(
    settings: Settings,
    told_to_stop: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let public = bind(settings.listen)?;
    let metrics_listener = settings.metrics_listen.map(bind).transpose()?;
    let store = open(&settings).await?;
    let wake = Wake::new(settings.replies.is_some());
    let metrics = Metrics::default();
    let sessions = Sessions::new(store.clone(), settings.token_lifetime);
    let (stop_outbox, stopping) = watch::channel(false);
    let mut outbox = JoinSet::new();
    for dispatcher in dispatchers(&settings, &store, &wake, &metrics)? {
        outbox.spawn(dispatcher.run(stopping.clone()));
    }
    let pruning = tokio::spawn(prune_for_ever(
        store.clone(),
        sessions.clone(),
        settings.kept,
    ));
    let parts = Parts {
        store: store.clone(),
        sessions,
        passwords: Passwords::new(available_parallelism().map_or(1, usize::from))?,
        wake,
        metrics: metrics.clone(),
        settings,
    };
    let server = endpoints(parts, public)?;
    let metrics_server = metrics_listener.map(|listener| figures(listener, &store, &metrics));
    let metrics_server = metrics_server.transpose()?.map(|server| {
        let handle = server.handle();
        (tokio::spawn(server), handle)
    });
    let handle = server.handle();
    let serving = tokio::spawn(server);
    told_to_stop.await;
    tracing::info!("stopping");
    handle.stop(true).await;
    let served = serving.await;
    let _ = stop_outbox.send(true);
    if timeout(FINISH_OUTBOX, async {
        while outbox.join_next().await.is_some() {}
    })
    .await
    .is_err()
    {
        tracing::warn!("not everything was sent; it goes out after the next start");
        outbox.shutdown().await;
    }
    pruning.abort();
    if let Some((serving, handle)) = metrics_server {
        handle.stop(false).await;
        // Its failure would have been told where it is scraped.
        let _ = serving.await;
    }
    store.close().await;
    tracing::info!("stopped");
    served
        .map_err(io::Error::other)?
        .map_err(ServeError::Server)
}

fn bind(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).map_err(|reason| ServeError::Listen { address, reason })
}

/// An embedded database is brought up to date at once. On a server, which others may use, an
/// operator decides when.
async fn open(settings: &Settings) -> Result<Store, StoreError> {
    if settings.database.database() == Database::Sqlite {
        Store::migrate(&settings.database).await?;
    }
    Store::open(&settings.database).await
}

fn dispatchers(
    settings: &Settings,
    store: &Store,
    wake: &Wake,
    metrics: &Metrics,
) -> Result<Vec<Dispatcher>, ServeError> {
    let timing = settings.timing;
    let dispatcher =
        |target, woken| Dispatcher::new(store.clone(), target, woken, metrics.clone(), timing);
    let relay = Target::Relay(broadcaster(settings)?);
    let mut dispatchers = vec![dispatcher(relay, wake.broadcast())];
    if let (Some(sender), Some(woken)) = (&settings.replies, wake.whatsapp()) {
        let graph = Graph::new(sender.clone(), timing.attempt())?;
        dispatchers.push(dispatcher(Target::Whatsapp(graph), woken));
    }
    Ok(dispatchers)
}

/// The driver. The outbox tries again by itself, so the client does not.
fn broadcaster(
    settings: &Settings,
) -> Result<std::sync::Arc<dyn publisher::Broadcaster>, publisher::Invalid> {
    let connection = match settings.broadcast.clone() {
        publisher::Connection::Pusher(config) => {
            let config = config
                .retry(publisher::Retry::none())
                .connect_timeout(settings.timing.attempt())
                .timeout(settings.timing.attempt());
            publisher::Connection::Pusher(config)
        }
        other => other,
    };
    let broadcaster = connection.broadcaster()?;
    tracing::info!(driver = broadcaster.name(), "broadcasting");
    Ok(broadcaster)
}

/// What the endpoints are made of.
struct Parts {
    store: Store,
    sessions: Sessions,
    passwords: Passwords,
    wake: Wake,
    metrics: Metrics,
    settings: Settings,
}

fn endpoints(parts: Parts, listener: TcpListener) -> Result<Server, ServeError> {
    let address = listener.local_addr()?;
    let Parts {
        store,
        sessions,
        passwords,
        wake,
        metrics,
        settings,
    } = parts;
    let signing = Signing::new(settings.relay.as_ref());
    let store = Data::new(store);
    let sessions = Data::new(sessions);
    let passwords = Data::new(passwords);
    let attempts = Data::new(Attempts::default());
    let proxies = Data::new(settings.proxies.clone());
    let signing = Data::new(signing);
    let webhooks = Data::new(settings.webhooks.clone());
    let wake = Data::new(wake);
    let server = HttpServer::new(move || {
        let metrics = metrics.clone();
        App::new()
            .app_data(store.clone())
            .app_data(sessions.clone())
            .app_data(passwords.clone())
            .app_data(attempts.clone())
            .app_data(proxies.clone())
            .app_data(signing.clone())
            .app_data(webhooks.clone())
            .app_data(wake.clone())
            .wrap(cors(&settings.origins))
            .wrap(DefaultHeaders::new().add(("X-Content-Type-Options", "nosniff")))
            .wrap(from_fn(move |request, next: middleware::Next<_>| {
                let metrics = metrics.clone();
                async move {
                    let method = actix_web::dev::ServiceRequest::method(&request).clone();
                    let response: ServiceResponse<_> = next.call(request).await?;
                    let route = response.request().match_pattern();
                    metrics.answered(route, method.as_str(), response.status().as_u16());
                    Ok(response)
                }
            }))
            .configure(|config| http::routes(&settings.page, config))
    });
    let server = server
        .disable_signals()
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(HEAD_TIMEOUT)
        .shutdown_timeout(FINISH_REQUESTS)
        .listen(listener)?
        .run();
    tracing::info!(listener = "public", %address, "listening");
    Ok(server)
}

fn figures(listener: TcpListener, store: &Store, metrics: &Metrics) -> Result<Server, ServeError> {
    let address = listener.local_addr()?;
    let store = Data::new(store.clone());
    let metrics = Data::new(metrics.clone());
    let server = HttpServer::new(move || {
        App::new()
            .app_data(store.clone())
            .app_data(metrics.clone())
            .configure(http::figures::routes)
    });
    let server = server.workers(1).disable_signals().listen(listener)?.run();
    tracing::info!(listener = "metrics", %address, "listening");
    Ok(server)
}

fn cors(origins: &Origins) -> Cors {
    let cors = Cors::default()
        .allow_any_method()
        .allow_any_header()
        .max_age(3600);
    match origins {
        Origins::All => cors.allow_any_origin().send_wildcard(),
        Origins::These(origins) => origins
            .iter()
            .fold(cors, |cors, origin| cors.allowed_origin(origin)),
    }
}
