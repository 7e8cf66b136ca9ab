//! At most one line of the log a minute.

use std::time::{Duration, Instant};

/// The least time between two lines of the log about the same thing.
const INTERVAL: Duration = Duration::from_secs(60);

/// Lets one of many lines of the log through each minute, the first at once.
#[derive(Debug, Default)]
pub struct Throttle {
    last: Option<Instant>,
}

impl Throttle {
    /// Whether a line may be written now; if so, none may for a minute.
    pub fn lets_through(&mut self, now: Instant) -> bool {
        let lets_through = self.next().is_none_or(|next| next <= now);
        if lets_through {
            self.last = Some(now);
        }
        lets_through
    }

    /// When the next line may be written; None: at once.
    pub fn next(&self) -> Option<Instant> {
        self.last.map(|last| last + INTERVAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_passes_and_then_one_a_minute() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        assert_eq!(throttle.next(), None);
        assert!(throttle.lets_through(start));
        assert!(!throttle.lets_through(start));
        assert!(!throttle.lets_through(start + INTERVAL - Duration::from_millis(1)));
        assert_eq!(throttle.next(), Some(start + INTERVAL));
        assert!(throttle.lets_through(start + INTERVAL));
        assert!(!throttle.lets_through(start + INTERVAL));
    }
}
