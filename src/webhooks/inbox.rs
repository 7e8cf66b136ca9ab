//! Where events are handed in for one webhook.

use std::sync::atomic::{AtomicUsize, Ordering};

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
    /// None: nobody takes them out any more.
    events: Mutex<Option<Vec<Event>>>,
    full_at: AtomicUsize,
    woken: Notify,
}

impl Inbox {
    /// An empty inbox; so many events fill a request.
    pub(super) fn new(full_at: usize) -> Self {
        Self {
            events: Mutex::new(Some(Vec::new())),
            full_at: AtomicUsize::new(full_at),
            woken: Notify::new(),
        }
    }

    /// So many events fill a request from now on.
    pub(super) fn set_full_at(&self, full_at: usize) {
        self.full_at.store(full_at, Ordering::Relaxed);
    }

    /// Hands an event in; given back if nobody takes any out any more.
    pub(super) fn push(&self, event: Event) -> Result<(), Event> {
        let mut inbox = self.events.lock();
        let Some(events) = &mut *inbox else {
            return Err(event);
        };
        events.push(event);
        let count = events.len();
        drop(inbox);
        if count == 1 || count == self.full_at.load(Ordering::Relaxed) {
            self.woken.notify_one();
        }
        Ok(())
    }

    /// Waits for the first event, or for the one that fills a request.
    pub(super) async fn woken(&self) {
        self.woken.notified().await;
    }

    /// Whether there are enough for a request.
    pub(super) fn is_full(&self) -> bool {
        let full_at = self.full_at.load(Ordering::Relaxed);
        let inbox = self.events.lock();
        inbox.as_ref().is_some_and(|events| events.len() >= full_at)
    }

    /// Takes everything out.
    pub(super) fn take(&self) -> Vec<Event> {
        let mut inbox = self.events.lock();
        inbox.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Takes everything out, for the last time: what is handed in from now on is given back.
    pub(super) fn close(&self) -> Vec<Event> {
        self.events.lock().take().unwrap_or_default()
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
            inbox.push(numbers.event(&channel, "{}".into())).unwrap();
            woken.push(inbox.woken().now_or_never().is_some());
        }
        assert_eq!(woken, [true, false, true, false, false]);
        assert!(inbox.is_full());
        assert_eq!(inbox.take().len(), 5);
        assert!(!inbox.is_full() && inbox.take().is_empty());
        inbox.push(numbers.event(&channel, "{}".into())).unwrap();
        assert!(inbox.woken().now_or_never().is_some());
        assert_eq!(inbox.close().len(), 1);
        let late = numbers.event(&channel, "{}".into());
        assert!(inbox.push(late).is_err() && inbox.take().is_empty());
    }
}
