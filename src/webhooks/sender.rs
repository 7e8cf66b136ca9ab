//! What works off the events of one webhook.

use std::cell::RefCell;
use std::future::{Future, pending};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;

use super::event::Event;
use super::inbox::Inbox;
use super::journal::Journal;
use super::lanes::{Batch, Cut, Lanes, Verdict};
use super::outlet::Backlog;
use super::post::{Outcome, Poster};
use super::retry::{self, Pace};
use super::settings::Settings;
use crate::metrics::{AppMetrics, WebhookDrop};
use crate::throttle::Throttle;

/// How long events stay in the inbox of a webhook that is down.
const WHILE_DOWN: Duration = Duration::from_millis(50);
/// Bytes of the events in one request at most, but for a single larger one.
const BATCH_BYTES: usize = 256 << 10;
/// Between two looks through all that waits for a webhook that is down.
const BETWEEN_SWEEPS: Duration = Duration::from_secs(1);
/// Between two attempts when there is little time left.
const LAST_ATTEMPTS: Duration = Duration::from_millis(250);

/// How far the relay is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It serves.
    Serving,
    /// It is about to stop: what waits is sent without delay.
    Hurrying,
    /// It stops: what waits is sent without delay, and then the sender ends.
    Flushing,
}

/// Whose events a sender works off.
#[derive(Clone, Debug)]
pub(super) struct Name {
    /// The app's id.
    pub(super) app: Box<str>,
    /// Scheme, host and port of the webhook.
    pub(super) endpoint: String,
    /// The webhook in the journal.
    pub(super) key: Arc<str>,
}

/// The events of one webhook: what waits, and what is under way.
pub(super) struct Sender {
    name: Name,
    poster: Rc<Poster>,
    retry_for: Duration,
    concurrency: usize,
    /// How long an event waits for others that go in the same request.
    batch_wait: Duration,
    /// When the inbox is emptied; None while it is empty.
    take_in_at: Option<Instant>,
    backlog: Arc<Backlog>,
    journal: Option<Rc<RefCell<Journal>>>,
    metrics: AppMetrics,
    lanes: Lanes,
    pace: Pace,
    /// When all that waits for a webhook that is down is next looked through for what is too old.
    next_sweep: Instant,
    under_way: FuturesUnordered<Post>,
    failures: Throttle,
    losses: Throttle,
    /// When the log tells of what was lost; None while there is nothing to tell.
    report_losses_at: Option<Instant>,
    /// Events given up of which the log has not told.
    given_up: usize,
    /// Whether the log says last that the webhook fails.
    reported_failing: bool,
    phase: Phase,
}

type Post = Pin<Box<dyn Future<Output = (Batch, Outcome)>>>;

impl Sender {
    pub(super) fn new(
        name: Name,
        poster: Poster,
        batch: bool,
        settings: &Settings,
        backlog: Arc<Backlog>,
        journal: Option<Rc<RefCell<Journal>>>,
        metrics: AppMetrics,
    ) -> Self {
        let (most_events, batch_wait) = match batch {
            true => (settings.batch_events, settings.batch_wait),
            false => (1, Duration::ZERO),
        };
        Self {
            name,
            poster: Rc::new(poster),
            retry_for: settings.retry_for,
            concurrency: settings.concurrency,
            batch_wait,
            take_in_at: None,
            backlog,
            journal,
            metrics,
            lanes: Lanes::new(Cut {
                most_events,
                most_bytes: BATCH_BYTES,
            }),
            pace: Pace::new(Instant::now()),
            next_sweep: Instant::now(),
            under_way: FuturesUnordered::new(),
            failures: Throttle::default(),
            losses: Throttle::default(),
            report_losses_at: None,
            given_up: 0,
            reported_failing: false,
            phase: Phase::Serving,
        }
    }

    /// An event of an earlier process, which the journal holds already.
    pub(super) fn resume(&mut self, event: Event) {
        self.backlog.take_again(&event);
        self.lanes.push(event);
    }

    /// Works until the relay stops and nothing waits any more.
    pub(super) async fn run(mut self, inbox: Arc<Inbox>, mut phase: watch::Receiver<Phase>) {
        let backlog = Arc::clone(&self.backlog);
        while !(self.phase == Phase::Flushing && backlog.events() == 0) {
            let (next_start, take_in_at) = (self.next_start(), self.take_in_at);
            let report_losses_at = self.report_losses_at;
            tokio::select! {
                () = inbox.woken() => self.plan_to_take_in(&inbox),
                () = at(take_in_at) => self.take_in(&inbox),
                Some((batch, outcome)) = self.under_way.next() => self.finish(batch, &outcome),
                () = at(next_start) => {}
                () = backlog.dropped() => self.plan_report(),
                () = at(report_losses_at) => self.report_losses(),
                changed = phase.changed(), if self.phase != Phase::Flushing => {
                    // Without the other end, nobody could ask any more: stop, too.
                    self.phase = match changed {
                        Ok(()) => *phase.borrow(),
                        Err(_) => Phase::Flushing,
                    };
                    self.hurry(&inbox);
                }
            }
            self.start_posts();
        }
        self.report_losses();
    }

    /// Something has come: it is taken in at once, or together with what comes soon.
    fn plan_to_take_in(&mut self, inbox: &Inbox) {
        let wait = if self.is_in_a_hurry() {
            Duration::ZERO
        } else if self.pace.is_down() {
            WHILE_DOWN.max(self.batch_wait)
        } else if inbox.is_full() {
            Duration::ZERO
        } else {
            self.batch_wait
        };
        if wait.is_zero() {
            return self.take_in(inbox);
        }
        self.take_in_at.get_or_insert_with(|| Instant::now() + wait);
    }

    fn take_in(&mut self, inbox: &Inbox) {
        self.take_in_at = None;
        let events = inbox.take();
        if let Some(journal) = &self.journal {
            journal.borrow_mut().record(&self.name.key, &events);
        }
        for event in events {
            self.lanes.push(event);
        }
    }

    fn is_in_a_hurry(&self) -> bool {
        self.phase != Phase::Serving
    }

    fn hurry(&mut self, inbox: &Inbox) {
        self.take_in(inbox);
        self.lanes.hurry(Instant::now());
    }

    /// When the next request may begin; None while nothing waits or no more may be under way.
    fn next_start(&self) -> Option<Instant> {
        if self.under_way.len() >= self.concurrency {
            return None;
        }
        let due = self.lanes.next_due(Instant::now())?;
        Some(due.max(self.pace.next()))
    }

    fn start_posts(&mut self) {
        let now = Instant::now();
        while self.under_way.len() < self.concurrency
            && self.pace.next() <= now
            && let Some(batch) = self.lanes.take(now)
        {
            self.pace.begins(now);
            let poster = Rc::clone(&self.poster);
            self.under_way.push(Box::pin(async move {
                let outcome = poster.post(&batch.events).await;
                (batch, outcome)
            }));
        }
    }

    fn finish(&mut self, batch: Batch, outcome: &Outcome) {
        let now = Instant::now();
        self.metrics.webhook_requests.with(outcome.label()).inc();
        if *outcome == Outcome::Delivered {
            if self.pace.succeeded(now) {
                self.lanes.retry_unanswered(now);
            }
            self.let_go(&batch.events);
            let count = batch.events.len() as u64;
            self.metrics.webhook_events_sent.inc_by(count);
            self.lanes.done(batch);
            self.report_working();
            return;
        }
        let is_down = self.pace.failed();
        let delay = match self.is_in_a_hurry() {
            true => LAST_ATTEMPTS,
            false => retry::delay(batch.attempts + 1),
        };
        let too_old = now.checked_sub(self.retry_for);
        let verdict = Verdict {
            retry_at: now + delay,
            too_old,
            answered: matches!(outcome, Outcome::Refused(_)),
        };
        let mut given_up = self.lanes.failed(batch, verdict);
        if is_down && now >= self.next_sweep {
            self.next_sweep = now + BETWEEN_SWEEPS;
            given_up.extend(too_old.map_or_else(Vec::new, |too_old| {
                // What waits behind many others would be tried too late.
                self.lanes.give_up_older(too_old)
            }));
        }
        self.let_go(&given_up);
        let expired = self
            .metrics
            .webhook_events_dropped
            .with(WebhookDrop::Expired);
        expired.inc_by(given_up.len() as u64);
        self.report_failing(outcome);
        self.given_up += given_up.len();
        if self.given_up > 0 {
            self.plan_report();
        }
    }

    /// The events wait no longer.
    fn let_go(&self, events: &[Event]) {
        if let Some(journal) = &self.journal {
            journal.borrow_mut().settle(&self.name.key, events);
        }
        for event in events {
            self.backlog.release(event);
        }
    }

    fn report_failing(&mut self, outcome: &Outcome) {
        if self.failures.lets_through(Instant::now()) {
            self.reported_failing = true;
            tracing::warn!(
                app = &*self.name.app,
                webhook = self.name.endpoint,
                reason = %outcome,
                waiting = self.backlog.events(),
                "a webhook fails; it is tried again"
            );
        }
    }

    fn report_working(&mut self) {
        if std::mem::take(&mut self.reported_failing) {
            tracing::info!(
                app = &*self.name.app,
                webhook = self.name.endpoint,
                waiting = self.backlog.events(),
                "the webhook takes events again"
            );
        }
    }

    /// Something was lost: the log tells of it, once a minute.
    fn plan_report(&mut self) {
        if self.report_losses_at.is_none() {
            let at = self.losses.next().unwrap_or_else(Instant::now);
            self.report_losses_at = Some(at);
        }
    }

    fn report_losses(&mut self) {
        self.report_losses_at = None;
        let given_up = std::mem::take(&mut self.given_up);
        let dropped = self.backlog.take_unreported();
        if (given_up, dropped) == (0, 0) {
            return;
        }
        self.losses.lets_through(Instant::now());
        tracing::warn!(
            app = &*self.name.app,
            webhook = self.name.endpoint,
            dropped,
            given_up,
            waiting = self.backlog.events(),
            "events for a webhook are lost: dropped, as too much waits for it \
             (webhooks.backlog_bytes), or given up, as it kept failing (webhooks.retry_for)"
        );
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => pending().await,
    }
}
