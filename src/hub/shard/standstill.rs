//! Whether the shard itself did not run for a while: its machine was stopped, or had no time for it.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// The shard looks at the time every [`TICK`](super::wheel::TICK). Whoever comes this long after its last
/// look finds a shard that stood still.
const LATE: Duration = Duration::from_secs(1);

/// When the shard ran, and when it did not.
#[derive(Debug)]
pub(super) struct Standstill {
    looked_at: Cell<Instant>,
    ended_at: Cell<Option<Instant>>,
}

impl Standstill {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            looked_at: Cell::new(now),
            ended_at: Cell::new(None),
        }
    }

    /// The shard looks at the time.
    pub(super) fn look(&self, now: Instant) {
        self.ended_at.set(self.ended_at(now));
        self.looked_at.set(now);
    }

    /// When the shard last went on after it had stood still. That is now where it has not looked since.
    pub(super) fn ended_at(&self, now: Instant) -> Option<Instant> {
        let stands_still = now.saturating_duration_since(self.looked_at.get()) >= LATE;
        stands_still.then_some(now).or(self.ended_at.get())
    }
}

#[cfg(test)]
mod tests {
    use super::super::wheel::TICK;
    use super::*;

    #[test]
    fn a_shard_that_looks_in_time_never_stood_still() {
        let start = Instant::now();
        let standstill = Standstill::new(start);
        for turn in 1..100 {
            let now = start + TICK * turn;
            assert_eq!(standstill.ended_at(now), None);
            standstill.look(now);
        }
    }

    #[test]
    fn a_standstill_is_known_before_the_shard_has_looked_and_for_ever_after() {
        let start = Instant::now();
        let standstill = Standstill::new(start);
        let end = start + LATE;
        assert_eq!(standstill.ended_at(end), Some(end));
        standstill.look(end);
        for turn in 1..100 {
            let now = end + TICK * turn;
            assert_eq!(standstill.ended_at(now), Some(end));
            standstill.look(now);
        }
    }
}
