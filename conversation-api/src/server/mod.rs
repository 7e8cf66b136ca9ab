//! All of it at work: what is built in which order, and how it ends.
//!
//! - [`connections`]: how connections are served
//! - [`endpoints`]: the listeners, and what is wrapped around the routes
//! - [`sending`]: the outbox, and its last pass
//! - [`startup`]: what is not set up

mod connections;
mod endpoints;
mod sending;
mod startup;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::available_parallelism;

use actix_web::dev::{Server, ServerHandle};
use service::net::descriptors;
use service::net::room::{Numbers, Room};
use tokio::task::JoinHandle;

use crate::auth::password::{PasswordError, Passwords};
use crate::auth::sessions::Sessions;
use crate::metrics::Metrics;
use crate::outbox::{Wake, prune_for_ever};
use crate::settings::Settings;
use crate::store::{Database, Store, StoreError};
use connections::Limits;
use endpoints::Parts;
use sending::Sending;

/// One in so many descriptors is for the listener of the metrics, so that neither listener can take
/// those of the other.
const FOR_FIGURES: u64 = 8;

/// Why the service cannot start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's error.
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
    /// What sends the outbox has ended, which it must not.
    #[error("the outbox is no longer being sent")]
    Outbox,
    /// The server failed.
    #[error("the server failed: {0}")]
    Server(#[from] io::Error),
}

/// Serves until `stop_requested`, then finishes requests, sends what waits, and closes the database.
pub async fn run(
    settings: Settings,
    stop_requested: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let files = descriptors::raise_limit()?;
    let public = bind(settings.listen)?;
    let figures = settings.metrics_listen.map(bind).transpose()?;
    let store = open(&settings).await?;
    startup::report(&settings);
    let looking = settings.relay.clone().map(startup::look_for_relay);
    let looking = looking.map(tokio::spawn);
    let wake = Wake::new(settings.replies.is_some());
    let metrics = Metrics::default();
    let requests = store.within(settings.database_wait);
    let sessions = Sessions::new(requests.clone(), settings.token_lifetime);
    let mut sending = Sending::start(&settings, &store, &wake, &metrics)?;
    let kept = settings.kept;
    let pruning = tokio::spawn(prune_for_ever(store.clone(), sessions.clone(), kept));
    let for_figures = files / FOR_FIGURES;
    let limits = |files, numbers| Limits {
        room: Arc::new(Room::new(files, numbers)),
        waits: settings.waits,
        write_timeouts: metrics.http_write_timeouts(),
    };
    let figures = figures.map(|listener| {
        let limits = limits(for_figures, Numbers::default());
        endpoints::figures(listener, &requests, &metrics, limits)
    });
    let figures = figures.transpose()?.map(Serving::start);
    let limits = limits(files - for_figures, metrics.http_room());
    let parts = Parts {
        store: requests.clone(),
        sessions,
        passwords: Passwords::new(available_parallelism().map_or(1, usize::from))?,
        wake,
        metrics,
        settings,
    };
    let mut serving = Serving::start(endpoints::endpoints(parts, limits, public)?);
    let result = tokio::select! {
        () = stop_requested => Ok(()),
        error = serving.ended() => Err(ServeError::Server(error)),
        () = sending.ended() => Err(ServeError::Outbox),
    };
    sending.stop_replies();
    tracing::info!("stopping");
    serving.handle.stop(true).await;
    sending.finish().await;
    pruning.abort();
    if let Some(looking) = looking {
        looking.abort();
    }
    if let Some(figures) = figures {
        figures.handle.stop(false).await;
    }
    store.close().await;
    tracing::info!("stopped");
    result
}

/// A listener that is served.
struct Serving {
    handle: ServerHandle,
    task: JoinHandle<io::Result<()>>,
}

impl Serving {
    fn start(server: Server) -> Self {
        Self {
            handle: server.handle(),
            task: tokio::spawn(server),
        }
    }

    /// Completes if it ends by itself, which it should not.
    async fn ended(&mut self) -> io::Error {
        match (&mut self.task).await {
            Ok(Ok(())) => io::Error::other("it ended by itself"),
            Ok(Err(error)) => error,
            Err(error) => io::Error::other(error),
        }
    }
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
