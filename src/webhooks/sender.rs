//! What works off the events of one webhook.

use std::cell::RefCell;
use std::future::{Future, pending};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use reqwest::Client;
use tokio::sync::watch;

use super::event::{Event, Moment};
use super::inbox::Inbox;
use super::journal::Journal;
use super::lanes::{Batch, Cut, Lanes, Verdict};
use super::outcomes::Outcomes;
use super::outlet::Backlog;
use super::post::{Outcome, Poster};
use super::reports::{Name, Reports};
use super::retry::{self, Pace};
use super::settings::Settings;
use super::work::{Terms, Work};
use crate::apps::LiveApp;
use crate::metrics::{AppMetrics, WebhookDrop};

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

/// The events of one webhook: what waits, and what is under way.
pub(super) struct Sender {
    /// The webhook in the journal.
    key: Arc<str>,
    app: Arc<LiveApp>,
    client: Client,
    /// How the next requests are made; made anew when something else is configured.
    poster: Option<Rc<Poster>>,
    settings: Rc<Settings>,
    /// As it is configured.
    terms: watch::Receiver<Terms>,
    /// Whether anybody may configure something else.
    may_change: bool,
    /// How long an event waits for others that go in the same request.
    batch_wait: Duration,
    /// When the inbox is emptied; None while it is empty.
    take_in_at: Option<Instant>,
    backlog: Arc<Backlog>,
    journal: Option<Rc<RefCell<Journal>>>,
    metrics: AppMetrics,
    outcomes: Arc<Outcomes>,
    lanes: Lanes,
    pace: Pace,
    /// When all that waits for a webhook that is down is next looked through for what is too old.
    next_sweep: Instant,
    under_way: FuturesUnordered<Post>,
    reports: Reports,
    phase: Phase,
}

type Post = Pin<Box<dyn Future<Output = (Batch, Outcome)>>>;

impl Sender {
    /// Works off what comes for a webhook, until that is configured no longer.
    pub(super) fn new(
        name: Name,
        work: Work,
        client: Client,
        settings: &Rc<Settings>,
        journal: Option<Rc<RefCell<Journal>>>,
    ) -> Self {
        let now = Instant::now();
        Self {
            key: Arc::clone(&name.key),
            app: work.app,
            client,
            poster: None,
            settings: Rc::clone(settings),
            terms: work.terms,
            may_change: true,
            batch_wait: Duration::ZERO,
            take_in_at: None,
            backlog: work.backlog,
            journal,
            metrics: work.metrics,
            outcomes: work.outcomes,
            lanes: Lanes::new(Cut {
                most_events: 1,
                most_bytes: BATCH_BYTES,
            }),
            pace: Pace::new(now),
            next_sweep: now,
            under_way: FuturesUnordered::new(),
            reports: Reports::new(name),
            phase: Phase::Serving,
        }
    }

    /// Goes by what is configured now. Returns whether the webhook still is.
    fn take_terms(&mut self) -> bool {
        let Some(webhook) = self.terms.borrow_and_update().clone() else {
            return false;
        };
        let (most_events, batch_wait) = if webhook.batch {
            (self.settings.batch_events, self.settings.batch_wait)
        } else {
            (1, Duration::ZERO)
        };
        self.batch_wait = batch_wait;
        self.lanes.set_cut(Cut {
            most_events,
            most_bytes: BATCH_BYTES,
        });
        self.poster = Some(Rc::new(Poster::new(
            self.client.clone(),
            &webhook,
            self.app.record().keys.signing().clone(),
            self.settings.timeout,
        )));
        true
    }

    /// An event of an earlier process, which the journal holds already. It is tried for as long as one that happens now:
    /// it may be old only because nothing ran, and a backend that is started with the relay may not be there yet.
    pub(super) fn resume(&mut self, mut event: Event) {
        event.at = Moment::of_wall(event.at.wall);
        self.backlog.take_again(&event);
        self.lanes.push(event);
    }

    /// Works until the relay stops and nothing waits any more, or the webhook is configured no longer.
    pub(super) async fn run(mut self, inbox: Arc<Inbox>, mut phase: watch::Receiver<Phase>) {
        let backlog = Arc::clone(&self.backlog);
        if !self.take_terms() {
            return self.end(&inbox).await;
        }
        self.phase = *phase.borrow_and_update();
        while !(self.phase == Phase::Flushing && backlog.events() == 0) {
            let (next_start, take_in_at) = (self.next_start(), self.take_in_at);
            let losses_due = self.reports.losses_due();
            tokio::select! {
                () = inbox.woken() => self.plan_to_take_in(&inbox),
                () = at(take_in_at) => self.take_in(&inbox),
                Some((batch, outcome)) = self.under_way.next() => self.finish(batch, &outcome),
                () = at(next_start) => {}
                () = backlog.dropped() => self.reports.plan_losses(),
                () = at(losses_due) => self.reports.losses(&backlog),
                changed = self.terms.changed(), if self.may_change => match changed {
                    Ok(()) if !self.take_terms() => return self.end(&inbox).await,
                    Ok(()) => {}
                    // The process ends: what is left stays in the journal.
                    Err(_) => self.may_change = false,
                },
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
        self.reports.losses(&backlog);
    }

    /// The webhook is configured no longer: what waits for it is dropped, and what is on its way comes to its end.
    async fn end(mut self, inbox: &Inbox) {
        let mut dropped = self.lanes.give_up_all();
        if let Some(journal) = &self.journal {
            journal.borrow_mut().settle(&self.key, &dropped);
        }
        // These were not written down yet.
        let handed_in = inbox.close();
        dropped.extend(handed_in);
        self.drop_removed(&dropped);
        while let Some((batch, outcome)) = self.under_way.next().await {
            self.metrics.webhook_requests.with(outcome.label()).inc();
            if let Some(journal) = &self.journal {
                journal.borrow_mut().settle(&self.key, &batch.events);
            }
            if outcome == Outcome::Delivered {
                let count = batch.events.len() as u64;
                self.metrics.webhook_events_sent.inc_by(count);
                for event in &batch.events {
                    self.backlog.release(event);
                }
            } else {
                self.drop_removed(&batch.events);
            }
        }
    }

    fn drop_removed(&self, events: &[Event]) {
        let dropped = self
            .metrics
            .webhook_events_dropped
            .with(WebhookDrop::Removed);
        dropped.inc_by(events.len() as u64);
        for event in events {
            self.backlog.release(event);
        }
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
            journal.borrow_mut().record(&self.key, &events);
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
        if self.under_way.len() >= self.settings.concurrency {
            return None;
        }
        let due = self.lanes.next_due(Instant::now())?;
        Some(due.max(self.pace.next()))
    }

    fn start_posts(&mut self) {
        let now = Instant::now();
        while self.under_way.len() < self.settings.concurrency
            && self.pace.next() <= now
            && let Some(poster) = &self.poster
            && let Some(batch) = self.lanes.take(now)
        {
            self.pace.begins(now);
            let poster = Rc::clone(poster);
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
            self.outcomes.taken(batch.events.len());
            self.lanes.done(batch);
            self.reports.succeeded(&self.backlog);
            return;
        }
        let is_down = self.pace.failed();
        let delay = if self.is_in_a_hurry() {
            LAST_ATTEMPTS
        } else {
            retry::BACKOFF.delay(batch.attempts + 1)
        };
        let too_old = now.checked_sub(self.settings.retry_for);
        self.note_failure(&batch, outcome, delay, too_old);
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
        self.reports.failed(outcome, &self.backlog);
        self.reports.gave_up(given_up.len());
    }

    /// What is too old is not sent again.
    fn note_failure(
        &self,
        batch: &Batch,
        outcome: &Outcome,
        delay: Duration,
        too_old: Option<Instant>,
    ) {
        let is_kept = |event: &Event| too_old.is_none_or(|too_old| event.at.instant > too_old);
        let delay = batch.events.iter().any(is_kept).then_some(delay);
        let attempt = batch.attempts + 1;
        self.outcomes.failed(&batch.events, attempt, outcome, delay);
    }

    /// The events wait no longer.
    fn let_go(&self, events: &[Event]) {
        if let Some(journal) = &self.journal {
            journal.borrow_mut().settle(&self.key, events);
        }
        for event in events {
            self.backlog.release(event);
        }
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => pending().await,
    }
}
