//! The outbox at work: what is sent where, and the last pass.

use std::sync::Arc;
use std::time::Duration;

use publisher::{Broadcaster, Client, Config, Connection, Invalid, Retry};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::ServeError;
use crate::media::Fetcher;
use crate::metrics::Metrics;
use crate::outbox::{Dispatcher, Evictions, Target, Wake};
use crate::settings::Settings;
use crate::store::Store;
use crate::whatsapp::graph::Graph;

/// How long the last pass may take.
const LAST_PASS: Duration = Duration::from_secs(10);
/// How long the Graph API may take to name a file.
const GRAPH_PATIENCE: Duration = Duration::from_secs(15);

/// Sends what the outbox holds.
pub(super) struct Sending {
    work: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Sending {
    pub(super) fn start(
        settings: &Settings,
        store: &Store,
        wake: &Wake,
        metrics: &Metrics,
    ) -> Result<Self, ServeError> {
        let (stop, stopping) = watch::channel(false);
        let mut work = JoinSet::new();
        let broadcaster = broadcaster(settings)?;
        let evictions = evictions(settings, store, metrics, &broadcaster)?;
        if let Some(sender) = &settings.replies {
            let graph = Graph::new(sender.clone(), GRAPH_PATIENCE)?;
            let fetcher = Fetcher::new(
                (store.clone(), graph),
                (settings.media.clone(), settings.media_limits),
                settings.timing,
                wake.clone(),
                metrics.clone(),
            );
            work.spawn(fetcher.run(wake.media(), stopping.clone()));
        }
        let relay = Target::Relay(broadcaster, evictions.clone());
        for dispatcher in dispatchers(settings, store, wake, metrics, relay)? {
            work.spawn(dispatcher.run(stopping.clone()));
        }
        work.spawn(evictions.run(wake.evictions(), settings.timing.poll, stopping));
        Ok(Self { work, stop })
    }

    /// Completes if it ends by itself, which it should not.
    pub(super) async fn ended(&mut self) {
        self.work.join_next().await;
    }

    /// Sends what is due, if it is taken, and ends.
    pub(super) async fn finish(mut self) {
        self.stop.send_replace(true);
        let all = async { while self.work.join_next().await.is_some() {} };
        if timeout(LAST_PASS, all).await.is_err() {
            tracing::warn!("not everything was sent; it goes out after the next start");
            self.work.shutdown().await;
        }
    }
}

fn dispatchers(
    settings: &Settings,
    store: &Store,
    wake: &Wake,
    metrics: &Metrics,
    relay: Target,
) -> Result<Vec<Dispatcher>, ServeError> {
    let timing = settings.timing;
    let dispatcher =
        |target, woken| Dispatcher::new(store.clone(), target, woken, metrics.clone(), timing);
    let mut dispatchers = vec![dispatcher(relay, wake.broadcast())];
    if let (Some(sender), Some(woken)) = (&settings.replies, wake.whatsapp()) {
        let graph = Graph::new(sender.clone(), timing.attempt())?;
        let whatsapp = Target::Whatsapp {
            graph,
            wake: wake.clone(),
            retry_for: settings.replies_retried,
        };
        dispatchers.push(dispatcher(whatsapp, woken));
    }
    Ok(dispatchers)
}

/// At the relay whose clients are authorised here, whatever the driver.
fn evictions(
    settings: &Settings,
    store: &Store,
    metrics: &Metrics,
    broadcaster: &Arc<dyn Broadcaster>,
) -> Result<Evictions, ServeError> {
    let relay = settings.relay.clone();
    let relay = relay.map(|relay| Client::new(impatient(relay, settings)));
    let (relay, again_in) = (relay.transpose()?, settings.authorisations);
    let (store, metrics) = (store.clone(), metrics.clone());
    let broadcaster = Arc::clone(broadcaster);
    Ok(Evictions::new(store, relay, broadcaster, again_in, metrics))
}

fn impatient(config: Config, settings: &Settings) -> Config {
    config
        .retry(Retry::none())
        .connect_timeout(settings.timing.attempt())
        .timeout(settings.timing.attempt())
}

/// The driver. The outbox tries again by itself, so the client does not.
fn broadcaster(settings: &Settings) -> Result<Arc<dyn Broadcaster>, Invalid> {
    let connection = match settings.broadcast.clone() {
        Connection::Pusher(config) => Connection::Pusher(impatient(config, settings)),
        other => other,
    };
    let broadcaster = connection.broadcaster()?;
    tracing::info!(driver = broadcaster.name(), "broadcasting");
    Ok(broadcaster)
}
