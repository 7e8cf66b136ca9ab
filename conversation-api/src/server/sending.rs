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
use crate::outbox::{Dispatcher, Evictions, Target, Timing, Wake};
use crate::settings::Settings;
use crate::store::Store;
use crate::whatsapp::graph::Graph;

/// How long the last pass may take, if no request may take longer.
const LAST_PASS: Duration = Duration::from_secs(10);
/// How long it may take to note what came of the last requests.
const NOTING: Duration = Duration::from_secs(5);
/// How long the Graph API may take to name a file.
const GRAPH_PATIENCE: Duration = Duration::from_secs(15);

/// Sends what the outbox holds.
pub(super) struct Sending {
    work: JoinSet<()>,
    stop: watch::Sender<bool>,
    stop_replies: watch::Sender<bool>,
    timing: Timing,
}

impl Sending {
    pub(super) fn start(
        settings: &Settings,
        store: &Store,
        wake: &Wake,
        metrics: &Metrics,
    ) -> Result<Self, ServeError> {
        let (stop, stopping) = watch::channel(false);
        let (stop_replies, stopping_replies) = watch::channel(false);
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
        let timing = settings.timing;
        let dispatcher =
            |target, woken| Dispatcher::new(store.clone(), target, woken, metrics.clone(), timing);
        let relay = Target::Relay(broadcaster, evictions.clone());
        let woken = (wake.broadcast(), stopping.clone());
        work.spawn(dispatcher(relay, woken).run());
        if let (Some(whatsapp), Some(woken)) = (whatsapp(settings, wake)?, wake.whatsapp()) {
            work.spawn(dispatcher(whatsapp, (woken, stopping_replies)).run());
        }
        work.spawn(evictions.run(wake.evictions(), timing.poll, stopping));
        Ok(Self {
            work,
            stop,
            stop_replies,
            timing,
        })
    }

    /// Begins no more replies to customers: one that is cut off would be sent again.
    pub(super) fn stop_replies(&self) {
        self.stop_replies.send_replace(true);
    }

    /// Completes if it ends by itself, which it should not.
    pub(super) async fn ended(&mut self) {
        self.work.join_next().await;
    }

    /// Sends what is due, if it is taken, and ends.
    pub(super) async fn finish(mut self) {
        self.stop_replies();
        self.stop.send_replace(true);
        let all = async { while self.work.join_next().await.is_some() {} };
        if timeout(longest_pass(self.timing), all).await.is_err() {
            tracing::warn!("not everything was sent; it goes out after the next start");
            self.work.shutdown().await;
        }
    }
}

/// How long the last pass may take: what is under way is never cut off before its answer is noted.
fn longest_pass(timing: Timing) -> Duration {
    LAST_PASS.max(timing.attempt() + NOTING)
}

fn whatsapp(settings: &Settings, wake: &Wake) -> Result<Option<Target>, ServeError> {
    let Some(sender) = &settings.replies else {
        return Ok(None);
    };
    Ok(Some(Target::Whatsapp {
        graph: Graph::new(sender.clone(), settings.timing.attempt())?,
        wake: wake.clone(),
        retry_for: settings.replies_retried,
    }))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_pass_outlasts_a_request_that_is_under_way() {
        for seconds in [3, 15, 60, 600] {
            let timing = Timing {
                lease: Duration::from_secs(seconds),
                poll: Duration::from_secs(1),
            };
            assert!(
                longest_pass(timing) >= timing.attempt() + NOTING,
                "{seconds}"
            );
        }
    }
}
