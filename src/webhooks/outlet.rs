//! The way to one webhook, and how much may wait on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Notify;

use super::event::Event;
use super::inbox::Inbox;
use crate::apps::{Webhook, WebhookEvent};
use crate::metrics::{AppMetrics, WebhookDrop};

/// The way to one webhook, for any thread and without waiting.
#[derive(Debug)]
pub(super) struct Outlet {
    webhook: Webhook,
    backlog: Arc<Backlog>,
    inbox: Arc<Inbox>,
}

impl Outlet {
    pub(super) fn new(webhook: Webhook, backlog: Arc<Backlog>, inbox: Arc<Inbox>) -> Self {
        Self {
            webhook,
            backlog,
            inbox,
        }
    }

    pub(super) fn wants(&self, event: WebhookEvent, channel: &str) -> bool {
        self.webhook.wants(event, channel)
    }

    /// Hands an event in, or drops and counts it when too much waits.
    pub(super) fn push(&self, event: Event) {
        if !self.backlog.try_take(&event) {
            return self.backlog.note_drop();
        }
        self.inbox.push(event);
    }
}

/// What waits for one webhook, from being handed in to being taken or given up.
#[derive(Debug)]
pub(super) struct Backlog {
    events: AtomicUsize,
    bytes: AtomicUsize,
    most_bytes: usize,
    /// Drops that nobody was told of yet.
    unreported: AtomicU64,
    dropped: Notify,
    metrics: AppMetrics,
}

impl Backlog {
    /// A backlog of at most so many bytes.
    pub(super) fn new(most_bytes: usize, metrics: AppMetrics) -> Self {
        Self {
            events: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            most_bytes,
            unreported: AtomicU64::new(0),
            dropped: Notify::new(),
            metrics,
        }
    }

    /// Makes room for an event, if there is any.
    fn try_take(&self, event: &Event) -> bool {
        let cost = event.cost();
        let taken = self
            .bytes
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |bytes| {
                (bytes + cost <= self.most_bytes).then_some(bytes + cost)
            });
        if taken.is_ok() {
            self.count_in();
        }
        taken.is_ok()
    }

    /// Makes room for an event of an earlier process, whether there is any or not: it had its
    /// room there.
    pub(super) fn take_again(&self, event: &Event) {
        self.bytes.fetch_add(event.cost(), Ordering::AcqRel);
        self.count_in();
    }

    fn count_in(&self) {
        self.events.fetch_add(1, Ordering::AcqRel);
        self.metrics.webhook_events_waiting.inc();
    }

    /// An event no longer waits.
    pub(super) fn release(&self, event: &Event) {
        self.bytes.fetch_sub(event.cost(), Ordering::AcqRel);
        self.events.fetch_sub(1, Ordering::AcqRel);
        self.metrics.webhook_events_waiting.dec();
    }

    fn note_drop(&self) {
        let reasons = &self.metrics.webhook_events_dropped;
        reasons.with(WebhookDrop::Backlog).inc();
        // Only the first wakes anybody: there may be very many.
        if self.unreported.fetch_add(1, Ordering::Relaxed) == 0 {
            self.dropped.notify_one();
        }
    }

    /// How many events wait.
    pub(super) fn events(&self) -> usize {
        self.events.load(Ordering::Acquire)
    }

    /// Waits for a drop since this was last waited for.
    pub(super) async fn dropped(&self) {
        self.dropped.notified().await;
    }

    /// How many events were dropped since this was last asked.
    pub(super) fn take_unreported(&self) -> u64 {
        self.unreported.swap(0, Ordering::Relaxed)
    }
}
