//! At most one line of the log a minute, or a day.

use std::time::{Duration, Instant};

/// The least time between two lines of the log about the same thing.
const INTERVAL: Duration = Duration::from_secs(60);
/// The same of what goes on for long, and is somebody's to mend.
const DAY: Duration = Duration::from_secs(86_400);

/// Lets one of many lines of the log through each minute, or each day, the first at once.
#[derive(Debug)]
pub struct Throttle {
    interval: Duration,
    last: Option<Instant>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            interval: INTERVAL,
            last: None,
        }
    }
}

impl Throttle {
    /// One that lets a line through each day.
    pub fn daily() -> Self {
        Self {
            interval: DAY,
            last: None,
        }
    }

    /// Whether a line may be written now; if so, none may for a minute, or a day.
    pub fn lets_through(&mut self, now: Instant) -> bool {
        let lets_through = self.next().is_none_or(|next| next <= now);
        if lets_through {
            self.last = Some(now);
        }
        lets_through
    }

    /// When the next line may be written; None: at once.
    pub fn next(&self) -> Option<Instant> {
        self.last.map(|last| last + self.interval)
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
        let mut daily = Throttle::daily();
        assert!(daily.lets_through(start));
        assert!(!daily.lets_through(start + DAY - INTERVAL));
        assert!(daily.lets_through(start + DAY));
    }
}
