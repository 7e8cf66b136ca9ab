//! Where events are handed in for one webhook.

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::event::Event;

/// Events that were handed in by any thread, and not yet taken out by the webhook's sender. It
/// has no bound of its own: the backlog is its bound.
///
/// Whoever takes them out is woken by the first event and by the one that fills a request, and
/// not by those in between: it takes its time, so that several go together.
#[derive(Debug)]
pub(super) struct Inbox {
    events: Mutex<Vec<Event>>,
    full_at: usize,
    woken: Notify,
}

impl Inbox {
    /// An empty inbox; so many events fill a request.
    pub(super) fn new(full_at: usize) -> Self {
        Self {
            events: Mutex::default(),
            full_at,
            woken: Notify::new(),
        }
    }

    /// Hands an event in.
    pub(super) fn push(&self, event: Event) {
        let mut events = self.events.lock();
        events.push(event);
        let count = events.len();
        drop(events);
        if count == 1 || count == self.full_at {
            self.woken.notify_one();
        }
    }

    /// Waits for the first event, or for the one that fills a request.
    pub(super) async fn woken(&self) {
        self.woken.notified().await;
    }

    /// Whether there are enough for a request.
    pub(super) fn is_full(&self) -> bool {
        self.events.lock().len() >= self.full_at
    }

    /// Takes everything out.
    pub(super) fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.events.lock())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::super::event::Numbers;
    use super::*;
    use crate::protocol::ChannelName;

    #[test]
    fn the_first_event_and_a_full_request_wake() {
        let (inbox, numbers) = (Inbox::new(3), Numbers::new());
        let channel = ChannelName::parse("a", 164).unwrap();
        let mut woken = Vec::new();
        for _ in 0..5 {
            inbox.push(numbers.event(&channel, "{}".into()));
            woken.push(inbox.woken().now_or_never().is_some());
        }
        assert_eq!(woken, [true, false, true, false, false]);
        assert!(inbox.is_full());
        assert_eq!(inbox.take().len(), 5);
        assert!(!inbox.is_full() && inbox.take().is_empty());
        inbox.push(numbers.event(&channel, "{}".into()));
        assert!(inbox.woken().now_or_never().is_some());
    }
}
