//! Whether the relay, or WhatsApp, takes anything at all.
//!
//! One conversation that fails is that conversation's trouble, and what is refused because of one
//! customer is not counted here at all. When one after the other fails, it
//! is everybody's: then one conversation at a time is tried, at growing distances, and the others
//! wait where they are, in the database.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use service::backoff::Backoff;

/// Conversations that fail in a row before it is everybody's trouble.
const CONVERSATIONS: usize = 2;

const BACKOFF: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(5));

/// What has been seen since something was last taken.
#[derive(Debug, Default)]
pub(super) struct Health {
    failed: HashSet<i64>,
    failures: u32,
    pause: Option<Instant>,
}

impl Health {
    /// Whether nothing is being taken.
    pub(super) fn is_down(&self) -> bool {
        self.failed.len() >= CONVERSATIONS
    }

    /// When the next attempt may be made; `None` for now.
    pub(super) fn pause(&self) -> Option<Instant> {
        self.pause
    }

    /// Something was taken. Returns whether that ends an outage.
    pub(super) fn succeeded(&mut self) -> bool {
        let ended = self.is_down();
        *self = Self::default();
        ended
    }

    /// A conversation's row was not taken. Returns whether that begins an outage.
    pub(super) fn failed(&mut self, conversation_id: i64, now: Instant) -> bool {
        let was_down = self.is_down();
        if !was_down {
            self.failed.insert(conversation_id);
        }
        if self.is_down() {
            self.failures += 1;
            self.pause = Some(now + BACKOFF.delay(self.failures));
        }
        self.is_down() && !was_down
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_conversation_that_fails_stops_nobody_else() {
        let mut health = Health::default();
        for _ in 0..10 {
            assert!(!health.failed(1, Instant::now()));
        }
        assert!(!health.is_down());
        assert!(health.pause().is_none());
        assert!(!health.succeeded());
    }

    #[test]
    fn an_outage_begins_with_the_second_and_ends_with_a_success() {
        let mut health = Health::default();
        assert!(!health.failed(1, Instant::now()));
        assert!(health.failed(2, Instant::now()));
        assert!(health.is_down() && health.pause().is_some());
        assert!(!health.failed(3, Instant::now()));
        assert!(health.succeeded());
        assert!(!health.is_down() && health.pause().is_none());
    }
}
