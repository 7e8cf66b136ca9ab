//! What is looked after at a time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::time::Instant;

use crate::cluster::redis::keys::Topic;

/// What is looked after then.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    Heartbeat,
    Discover,
    Connect(String),
    Channel(Topic),
    Retry,
    Settle,
    FollowApps,
    Stop,
}

/// All that is set.
#[derive(Debug, Default)]
pub(super) struct Timers(BinaryHeap<Reverse<(Instant, Timer)>>);

impl Timers {
    pub(super) fn set(&mut self, at: Instant, timer: Timer) {
        self.0.push(Reverse((at, timer)));
    }

    pub(super) fn cancel(&mut self, cancelled: &Timer) {
        self.0.retain(|Reverse((_, timer))| timer != cancelled);
    }

    pub(super) fn next_at(&self) -> Option<Instant> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    /// The next that is due.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Timer> {
        let next = self.0.peek_mut()?;
        if next.0.0 > now {
            return None;
        }
        let Reverse((_, timer)) = PeekMut::pop(next);
        Some(timer)
    }
}
