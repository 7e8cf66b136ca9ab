//! Notices to an app's backend: transitions of channels, client events, counts.
//!
//! Whoever notifies never waits. [`AppWebhooks`] puts an event into the bounded queue of each
//! webhook that wants it; a thread of its own, below the workers' priority, works the queues off,
//! each webhook by itself.
//!
//! - [`app`], [`notice`], [`misses`]: what is reported, and to whom
//! - [`event`], [`outlet`], [`inbox`]: an event on its way, and how much may wait
//! - [`sender`], [`lanes`], [`retry`]: what goes when, in order for each channel
//! - [`post`], [`client`], [`address`]: one request, and where it may go
//! - [`journal`], [`reports`]: what outlasts the process; what the log says of a webhook
//! - [`settings`]: what holds for all webhooks
//! - [`thread`]: all of it at work; [`error`]: why it is not

mod address;
mod app;
mod client;
mod error;
mod event;
mod inbox;
mod journal;
mod lanes;
mod misses;
mod notice;
mod outlet;
mod post;
mod reports;
mod retry;
mod sender;
mod settings;
#[cfg(test)]
pub(crate) mod testing;
mod thread;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::watch;

pub use address::may_be_public;
pub use app::{AppWebhooks, Transition};
pub use error::StartError;
pub use notice::{ClientEventNotice, Notice};
pub use settings::Settings;

use crate::apps::{App, Registry};
use crate::departures::Departures;
use crate::metrics::{AppMetrics, Metrics, WebhookDrop};
use event::Numbers;
use inbox::Inbox;
use misses::Misses;
use outlet::{Backlog, Outlet};
use sender::Phase;
use thread::Work;

/// Departures of one app that may wait for a return. More are reported at once.
const MOST_DEPARTURES: usize = 100_000;
/// Channels of one app whose cache misses are joined. Those of more are sent as they come.
const MOST_MISSED: usize = 100_000;
/// Between two looks whether anything still waits.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// All webhooks of the relay, at work.
#[derive(Debug, Default)]
pub struct Webhooks {
    apps: HashMap<Box<str>, Running>,
    at_work: Option<AtWork>,
}

/// An app with webhooks.
#[derive(Debug)]
struct Running {
    webhooks: Arc<AppWebhooks>,
    backlogs: Vec<Arc<Backlog>>,
    metrics: AppMetrics,
}

/// The thread that does the work.
#[derive(Debug)]
struct AtWork {
    phase: watch::Sender<Phase>,
    /// True once everything is done.
    finished: watch::Receiver<bool>,
    keeps_journal: bool,
}

impl Webhooks {
    /// No webhooks at all.
    pub fn none() -> Self {
        Self::default()
    }

    /// Starts the webhooks of all apps. Where there are none, nothing is started.
    pub fn start(
        registry: &Registry,
        metrics: &Metrics,
        settings: Settings,
    ) -> Result<Self, StartError> {
        let mut apps = HashMap::new();
        let mut work = Vec::new();
        let numbers = Arc::new(Numbers::new());
        let enabled = registry.iter().filter(|app| app.enabled);
        for app in enabled.filter(|app| !app.webhooks.is_empty()) {
            let metrics = metrics.app(&app.id);
            let (running, of_app) = prepare(app, &numbers, &metrics, &settings);
            apps.insert(app.id.clone(), running);
            work.extend(of_app);
        }
        if work.is_empty() {
            return Ok(Self::none());
        }
        let keeps_journal = settings.journal.is_some();
        let (phase, finished) = thread::start(work, settings, &numbers)?;
        let at_work = Some(AtWork {
            phase,
            finished,
            keeps_journal,
        });
        Ok(Self { apps, at_work })
    }

    /// The webhooks of the app with this id, if it has any.
    pub fn app(&self, id: &str) -> Option<&Arc<AppWebhooks>> {
        self.apps.get(id).map(|app| &app.webhooks)
    }

    /// Notifies of what becomes due: of those who have left and do not come back, and of cache
    /// misses that wait. It never ends. Workers may wait for what it holds: it is to run at their
    /// priority.
    pub fn watch_due(&self) -> impl Future<Output = ()> + use<> {
        let apps: Vec<_> = self
            .apps
            .values()
            .map(|app| Arc::clone(&app.webhooks))
            .collect();
        async move {
            join_all(apps.iter().map(|app| app.watch_due())).await;
        }
    }

    /// Sends what waits without delay, as the relay is about to stop, and waits until nothing does.
    /// Departures go on waiting for a return.
    pub async fn hurry(&self) {
        let Some(at_work) = &self.at_work else {
            return;
        };
        // The thread may have ended: then nothing waits, or nothing can be done about it.
        let _ = at_work.phase.send(Phase::Hurrying);
        let backlogs = || self.apps.values().flat_map(|app| &app.backlogs);
        while !*at_work.finished.borrow() && backlogs().any(|backlog| backlog.events() > 0) {
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// Sends what waits before the relay stops, departures that wait for a return included.
    /// Takes no longer than until the deadline; what is left then is counted and logged.
    pub async fn flush(&self, deadline: Instant) {
        let Some(at_work) = &self.at_work else {
            return;
        };
        for app in self.apps.values() {
            app.webhooks.stop_waiting();
        }
        // The thread may have ended: then nothing waits, or nothing can be done about it.
        let _ = at_work.phase.send(Phase::Flushing);
        let mut finished = at_work.finished.clone();
        let all_done = finished.wait_for(|finished| *finished);
        let _ = tokio::time::timeout_at(deadline.into(), all_done).await;
        for (id, app) in &self.apps {
            app.report_unsent(id, at_work.keeps_journal);
        }
    }
}

impl Running {
    fn report_unsent(&self, app: &str, keeps_journal: bool) {
        let unsent: usize = self.backlogs.iter().map(|backlog| backlog.events()).sum();
        if unsent == 0 {
            return;
        }
        if keeps_journal {
            tracing::warn!(
                app,
                unsent,
                "not all webhooks could be sent in time: they stay in the journal"
            );
        } else {
            let drops = &self.metrics.webhook_events_dropped;
            drops.with(WebhookDrop::Shutdown).inc_by(unsent as u64);
            tracing::warn!(
                app,
                unsent,
                "not all webhooks could be sent in time: they are lost"
            );
        }
    }
}

/// The queues of an app's webhooks, and the work that they make.
fn prepare(
    app: &Arc<App>,
    numbers: &Arc<Numbers>,
    metrics: &AppMetrics,
    settings: &Settings,
) -> (Running, Vec<Work>) {
    let mut outlets = Vec::new();
    let mut backlogs = Vec::new();
    let mut work = Vec::new();
    for (index, webhook) in app.webhooks.iter().enumerate() {
        let before = app.webhooks[..index].iter();
        let full_at = if webhook.batch {
            settings.batch_events
        } else {
            1
        };
        let inbox = Arc::new(Inbox::new(full_at));
        let backlog = Arc::new(Backlog::new(settings.backlog_bytes, metrics.clone()));
        outlets.push(Outlet::new(
            webhook.clone(),
            Arc::clone(&backlog),
            Arc::clone(&inbox),
        ));
        backlogs.push(Arc::clone(&backlog));
        work.push(Work {
            app: Arc::clone(app),
            webhook: webhook.clone(),
            namesakes: before.filter(|other| other.url == webhook.url).count(),
            backlog,
            metrics: metrics.clone(),
            inbox,
        });
    }
    let departures = Departures::new(settings.leave_delay, MOST_DEPARTURES);
    let misses = Misses::new(MOST_MISSED);
    let metrics = metrics.clone();
    let numbers = Arc::clone(numbers);
    let webhooks = AppWebhooks::new(outlets, numbers, departures, misses, metrics.clone());
    let running = Running {
        webhooks: Arc::new(webhooks),
        backlogs,
        metrics,
    };
    (running, work)
}
