//! The way to one webhook, and how much may wait on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Notify;

use super::event::Event;
use super::inbox::Inbox;
use crate::apps::{Webhook, WebhookEvent};
use crate::metrics::{AppMetrics, WebhookDrop};
use crate::protocol::channel::Access;

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
        match self.backlog.try_take(&event) {
            Ok(()) => {
                if let Err(event) = self.inbox.push(event) {
                    self.backlog.release(&event);
                    self.backlog.note_drop(WebhookDrop::Removed);
                }
            }
            Err(reason) => self.backlog.note_drop(reason),
        }
    }
}

/// What waits for one webhook, from being handed in to being taken or given up.
///
/// Anybody may invent public channels, come and go there, and miss what they have cached. So
/// events of public channels take up half of the room at most: what members, private channels
/// and client events cause finds the other half.
#[derive(Debug)]
pub(super) struct Backlog {
    events: AtomicUsize,
    bytes: AtomicUsize,
    /// Of the bytes, those of events of public channels.
    public_bytes: AtomicUsize,
    most_bytes: usize,
    /// Drops that have not been logged yet.
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
            public_bytes: AtomicUsize::new(0),
            most_bytes,
            unreported: AtomicU64::new(0),
            dropped: Notify::new(),
            metrics,
        }
    }

    /// Makes room for an event, if there is any.
    fn try_take(&self, event: &Event) -> Result<(), WebhookDrop> {
        let cost = event.cost();
        let is_public = is_public(event);
        if is_public && !add_within(&self.public_bytes, cost, self.most_bytes / 2) {
            return Err(WebhookDrop::PublicBacklog);
        }
        if !add_within(&self.bytes, cost, self.most_bytes) {
            if is_public {
                self.public_bytes.fetch_sub(cost, Ordering::AcqRel);
            }
            return Err(WebhookDrop::Backlog);
        }
        self.count_in();
        Ok(())
    }

    /// Makes room for an event of an earlier process, whether there is any or not: it had its
    /// room there.
    pub(super) fn take_again(&self, event: &Event) {
        self.bytes.fetch_add(event.cost(), Ordering::AcqRel);
        if is_public(event) {
            self.public_bytes.fetch_add(event.cost(), Ordering::AcqRel);
        }
        self.count_in();
    }

    fn count_in(&self) {
        self.events.fetch_add(1, Ordering::AcqRel);
        self.metrics.webhook_events_waiting.inc();
    }

    /// An event no longer waits.
    pub(super) fn release(&self, event: &Event) {
        self.bytes.fetch_sub(event.cost(), Ordering::AcqRel);
        if is_public(event) {
            self.public_bytes.fetch_sub(event.cost(), Ordering::AcqRel);
        }
        self.events.fetch_sub(1, Ordering::AcqRel);
        self.metrics.webhook_events_waiting.dec();
    }

    fn note_drop(&self, reason: WebhookDrop) {
        self.metrics.webhook_events_dropped.with(reason).inc();
        // Only the first wakes anybody: there may be very many.
        if self.unreported.fetch_add(1, Ordering::Relaxed) == 0 {
            self.dropped.notify_one();
        }
    }

    /// How many events wait.
    pub(super) fn events(&self) -> usize {
        self.events.load(Ordering::Acquire)
    }

    /// About what they take up.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Acquire)
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

fn is_public(event: &Event) -> bool {
    event.channel.kind().access == Access::Public
}

/// Adds `cost` unless the sum would be over `most`.
fn add_within(sum: &AtomicUsize, cost: usize, most: usize) -> bool {
    let add = |bytes: usize| (bytes + cost <= most).then_some(bytes + cost);
    sum.fetch_update(Ordering::AcqRel, Ordering::Acquire, add)
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::super::event::Numbers;
    use super::*;
    use crate::metrics::Metrics;
    use crate::protocol::ChannelName;

    #[test]
    fn events_of_public_channels_leave_half_of_the_room_to_others() {
        let (metrics, numbers) = (Metrics::new(), Numbers::new());
        let backlog = Backlog::new(100_000, metrics.app("1"));
        let event = |channel: &str| {
            let channel = ChannelName::parse(channel, 164).unwrap();
            numbers.event(&channel, "{}".into())
        };
        let fill = |channel: &str| {
            let mut taken = Vec::new();
            loop {
                let event = event(channel);
                match backlog.try_take(&event) {
                    Ok(()) => taken.push(event),
                    Err(reason) => return (taken, reason),
                }
            }
        };
        let (public, reason) = fill("cache-invented");
        assert_eq!(reason, WebhookDrop::PublicBacklog);
        let (private, reason) = fill("presence-room");
        assert_eq!(reason, WebhookDrop::Backlog);
        assert!(private.len().abs_diff(public.len()) <= 2);

        for event in public.iter().chain(&private) {
            backlog.release(event);
        }
        // Nobody else needs room: all of it is theirs, and a public event finds none.
        let (private, _) = fill("private-orders");
        assert!(private.len() > 2 * public.len() - 2);
        let refused = backlog.try_take(&event("news"));
        assert_eq!(refused, Err(WebhookDrop::Backlog));
        for event in &private {
            backlog.release(event);
        }
        assert_eq!(backlog.public_bytes.load(Ordering::Acquire), 0);
        assert_eq!(backlog.bytes.load(Ordering::Acquire), 0);
    }
}
