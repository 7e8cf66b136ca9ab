//! At most one line a minute.

use std::time::{Duration, Instant};

/// The least time between two lines of the log about the same thing.
const INTERVAL: Duration = Duration::from_secs(60);

/// Lets one of many lines of the log through each minute, the first at once.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    last: Option<Instant>,
}

impl Throttle {
    /// Whether a line may be written now; if so, none may for a minute.
    pub(super) fn lets_through(&mut self) -> bool {
        let now = Instant::now();
        let lets_through = self.next() <= now;
        if lets_through {
            self.last = Some(now);
        }
        lets_through
    }

    /// When the next line may be written.
    pub(super) fn next(&self) -> Instant {
        self.last.map_or_else(Instant::now, |last| last + INTERVAL)
    }
}
