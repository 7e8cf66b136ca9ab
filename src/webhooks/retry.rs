//! When a webhook that failed is tried again.

use std::time::{Duration, Instant};

use service::backoff::Backoff;

/// How long a batch waits after it has failed.
pub(super) const BACKOFF: Backoff =
    Backoff::new(Duration::from_secs(1), Duration::from_secs(30)).either_way(0.25);

/// How fast requests to one webhook may follow each other. One that has failed many times in a
/// row, whatever it was sent, is most likely down: it is still tried, but what is lost on it is
/// bounded. The first success ends that.
#[derive(Debug)]
pub(super) struct Pace {
    failures_in_a_row: u32,
    next: Instant,
}

impl Pace {
    /// Failures in a row that may be the fault of single events.
    const TOLERATED: u32 = 16;
    /// Between two requests to a webhook that is down.
    const INTERVAL: Duration = Duration::from_millis(100);

    pub(super) fn new(now: Instant) -> Self {
        Self {
            failures_in_a_row: 0,
            next: now,
        }
    }

    /// When the next request may begin.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// A request begins.
    pub(super) fn begins(&mut self, now: Instant) {
        if self.is_down() {
            self.next = now + Self::INTERVAL;
        }
    }

    /// A request was taken. Returns whether the webhook had been down.
    pub(super) fn succeeded(&mut self, now: Instant) -> bool {
        let was_down = self.is_down();
        *self = Self::new(now);
        was_down
    }

    /// Whether it failed whatever it was sent.
    pub(super) fn is_down(&self) -> bool {
        self.failures_in_a_row > Self::TOLERATED
    }

    /// A request failed. Returns whether the webhook is down.
    pub(super) fn failed(&mut self) -> bool {
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        self.is_down()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_that_is_down_is_tried_now_and_then() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        for _ in 0..Pace::TOLERATED {
            pace.begins(start);
            assert!(!pace.failed());
        }
        assert_eq!(pace.next(), start);
        assert!(pace.failed());
        pace.begins(start);
        assert_eq!(pace.next(), start + Pace::INTERVAL);
        assert!(pace.succeeded(start));
        assert_eq!(pace.next(), start);
        pace.failed();
        assert!(!pace.succeeded(start));
    }
}
