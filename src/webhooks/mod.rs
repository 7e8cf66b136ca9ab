//! Notices to an app's backend: transitions of channels, client events, counts.
//!
//! Whoever notifies never waits. [`AppWebhooks`] puts an event into the bounded queue of each
//! webhook that wants it; a thread of its own, below the workers' priority, works the queues off,
//! each webhook by itself.
//!
//! - [`app`], [`notice`], [`misses`]: what is reported, and to whom
//! - [`lines`]: which webhooks there are, while that changes
//! - [`event`], [`outlet`], [`inbox`]: an event on its way, and how much may wait; [`outcomes`]: what became of the last ones
//! - [`sender`], [`lanes`], [`retry`]: what goes when, in order for each channel
//! - [`post`], [`client`], [`address`]: one request, and where it may go; [`mod@probe`]: one without events, or with a test
//! - [`journal`], [`reports`]: what outlasts the process; what the log says of a webhook
//! - [`settings`]: what holds for all webhooks
//! - [`work`]: what is to be sent; [`thread`]: all of it at work; [`error`]: why it is not

mod address;
mod app;
mod client;
mod error;
mod event;
mod inbox;
mod journal;
mod lanes;
mod lines;
mod misses;
mod notice;
mod outcomes;
mod outlet;
mod post;
mod probe;
mod reports;
mod retry;
mod sender;
mod settings;
#[cfg(test)]
pub(crate) mod testing;
mod thread;
mod work;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};

pub use address::{is_public, may_be_public};
pub use app::{AppWebhooks, Transition};
pub use error::StartError;
pub use lines::Report;
pub use notice::{ClientEventNotice, Notice};
pub use outcomes::{Failure, Tally};
pub use probe::{Tester, probe};
pub use settings::{JournalPlace, Settings};

use crate::apps::{App, LiveApp};
use crate::departures::Departures;
use crate::metrics::{AppMetrics, WebhookDrop};
use event::Numbers;
use misses::Misses;
use sender::Phase;
use thread::Running;
use work::Order;

/// Departures of one app that may wait for a return. More are reported at once.
const MOST_DEPARTURES: usize = 100_000;
/// Channels of one app whose cache misses are joined. Those of more are sent as they come.
const MOST_MISSED: usize = 100_000;
/// Between two looks whether anything still waits.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// All webhooks of the relay. Clones are the same.
#[derive(Clone, Debug)]
pub struct Webhooks(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: Settings,
    numbers: Arc<Numbers>,
    /// Those of apps that have any.
    apps: Mutex<Vec<Arc<AppWebhooks>>>,
    orders: mpsc::UnboundedSender<Order>,
    thread: Mutex<Thread>,
    /// Those that something may become due for.
    due: mpsc::UnboundedSender<Arc<AppWebhooks>>,
    comes_due: Mutex<Option<mpsc::UnboundedReceiver<Arc<AppWebhooks>>>>,
}

/// Who does the work.
#[derive(Debug)]
enum Thread {
    /// Nobody, as long as no app has webhooks.
    NotStarted(mpsc::UnboundedReceiver<Order>),
    /// A thread.
    AtWork(Running),
    /// Nobody, as it could not be started.
    Failed,
}

impl Webhooks {
    /// No webhooks at all; nothing is sent.
    #[cfg(any(test, feature = "fuzzing"))]
    pub fn none() -> Self {
        Self::new(Settings::default())
    }

    /// None yet; nothing is sent before they are started.
    #[expect(
        clippy::disallowed_methods,
        reason = "an order is a webhook that is configured, and no more than that"
    )]
    pub fn new(settings: Settings) -> Self {
        let (orders, ordered) = mpsc::unbounded_channel();
        let (due, comes_due) = mpsc::unbounded_channel();
        Self(Arc::new(Shared {
            settings,
            numbers: Arc::new(Numbers::new()),
            apps: Mutex::default(),
            orders,
            thread: Mutex::new(Thread::NotStarted(ordered)),
            due,
            comes_due: Mutex::new(Some(comes_due)),
        }))
    }

    /// Starts to send, if that has not begun. To be called before any app gets webhooks.
    ///
    /// # Errors
    /// When they cannot be sent, this time and for as long as the process lives.
    pub fn start(&self) -> Result<(), StartError> {
        let mut thread = self.0.thread.lock();
        match std::mem::replace(&mut *thread, Thread::Failed) {
            Thread::NotStarted(orders) => {
                let settings = self.0.settings.clone();
                *thread = Thread::AtWork(thread::start(orders, settings, &self.0.numbers)?);
                Ok(())
            }
            started @ Thread::AtWork(_) => {
                *thread = started;
                Ok(())
            }
            Thread::Failed => Err(StartError::Failed),
        }
    }

    /// Whether events of an earlier process are left, of webhooks that have not begun.
    pub fn has_left(&self) -> bool {
        matches!(&*self.0.thread.lock(), Thread::AtWork(running) if running.has_left)
    }

    /// All webhooks that there are have begun: what an earlier process has left for others is forgotten.
    pub fn all_begun(&self) {
        // Where nothing was read yet, what is left may be for webhooks that begin when it is.
        if let Thread::AtWork(running) = &mut *self.0.thread.lock()
            && std::mem::take(&mut running.has_left)
        {
            let _ = self.0.orders.send(Order::ForgetLeft);
        }
    }

    /// The webhooks of an app.
    pub fn of(&self, app: &Arc<LiveApp>, metrics: &AppMetrics) -> Arc<AppWebhooks> {
        let webhooks = Arc::new(AppWebhooks::new(
            &app.id,
            Arc::clone(&self.0.numbers),
            Departures::new(self.0.settings.leave_delay, MOST_DEPARTURES),
            Misses::new(MOST_MISSED),
            metrics.clone(),
        ));
        self.configure(&webhooks, app, &app.full_record());
        webhooks
    }

    /// The app's webhooks are those of this record from now on. What waits for one that is none of them is dropped.
    pub fn configure(&self, webhooks: &Arc<AppWebhooks>, app: &Arc<LiveApp>, record: &App) {
        let mut lines = webhooks.lines.lock();
        let had_none = lines.is_empty();
        if had_none && record.webhooks.is_empty() {
            return;
        }
        let outlets = lines.configure(
            app,
            &record.webhooks,
            webhooks.metrics(),
            &self.0.settings,
            &self.0.orders,
        );
        webhooks.set_outlets(outlets);
        if had_none {
            let mut apps = self.0.apps.lock();
            if !apps.iter().any(|known| Arc::ptr_eq(known, webhooks)) {
                apps.push(Arc::clone(webhooks));
                // Nobody may wait for it, as the relay stops.
                let _ = self.0.due.send(Arc::clone(webhooks));
            }
        }
    }

    /// The app is gone, and with it its webhooks. What waits for them is dropped.
    pub fn remove(&self, webhooks: &Arc<AppWebhooks>, app: &Arc<LiveApp>) {
        let mut lines = webhooks.lines.lock();
        let settings = &self.0.settings;
        lines.configure(app, &[], webhooks.metrics(), settings, &self.0.orders);
        webhooks.set_outlets(Vec::new());
        webhooks.end();
        let mut apps = self.0.apps.lock();
        apps.retain(|known| !Arc::ptr_eq(known, webhooks));
    }

    /// Notifies of what becomes due: of those who have left and do not come back, and of cache
    /// misses that wait. It never ends, and is to be called once. Workers may wait for what it holds: it is to run
    /// at their priority.
    pub fn watch_due(&self) -> impl Future<Output = ()> + use<> {
        let comes_due = self.0.comes_due.lock().take();
        async move {
            let Some(mut comes_due) = comes_due else {
                return;
            };
            let mut apps = FuturesUnordered::new();
            loop {
                tokio::select! {
                    Some(app) = comes_due.recv() => {
                        apps.push(async move { app.watch_due().await });
                    }
                    Some(()) = apps.next() => {}
                    else => return,
                }
            }
        }
    }

    /// How far it is to be, and when it has finished; None if nobody is at work.
    fn at_work(&self) -> Option<(watch::Sender<Phase>, watch::Receiver<bool>)> {
        match &*self.0.thread.lock() {
            Thread::AtWork(running) => Some((running.phase.clone(), running.finished.clone())),
            Thread::NotStarted(_) | Thread::Failed => None,
        }
    }

    /// Whether what waits outlasts the process.
    fn keeps_journal(&self) -> bool {
        matches!(&*self.0.thread.lock(), Thread::AtWork(running) if running.keeps_journal)
    }

    fn apps(&self) -> Vec<Arc<AppWebhooks>> {
        self.0.apps.lock().clone()
    }

    /// Sends what waits without delay, as the relay is about to stop, and waits until nothing does.
    /// Departures go on waiting for a return.
    pub async fn hurry(&self) {
        let Some((phase, finished)) = self.at_work() else {
            return;
        };
        // The thread may have ended: then nothing waits, or nothing can be done about it.
        let _ = phase.send(Phase::Hurrying);
        let apps = self.apps();
        let is_left = || apps.iter().any(|app| app.lines.lock().events() > 0);
        while !*finished.borrow() && is_left() {
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// Sends what waits before the relay stops, departures that wait for a return included.
    /// Takes no longer than until the deadline; what is left then is counted and logged.
    pub async fn flush(&self, deadline: Instant) {
        let Some((phase, mut finished)) = self.at_work() else {
            return;
        };
        let apps = self.apps();
        for app in &apps {
            app.stop_waiting();
        }
        // The thread may have ended: then nothing waits, or nothing can be done about it.
        let _ = phase.send(Phase::Flushing);
        let all_done = finished.wait_for(|finished| *finished);
        let _ = tokio::time::timeout_at(deadline.into(), all_done).await;
        for app in &apps {
            app.report_unsent(self.keeps_journal());
        }
    }
}

impl AppWebhooks {
    fn report_unsent(&self, keeps_journal: bool) {
        let unsent = self.lines.lock().events();
        if unsent == 0 {
            return;
        }
        let app = self.app();
        if keeps_journal {
            tracing::warn!(
                app,
                unsent,
                "not all webhooks could be sent in time: they stay in the journal"
            );
        } else {
            let drops = &self.metrics().webhook_events_dropped;
            drops.with(WebhookDrop::Shutdown).inc_by(unsent as u64);
            tracing::warn!(
                app,
                unsent,
                "not all webhooks could be sent in time: they are lost"
            );
        }
    }
}
