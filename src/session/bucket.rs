//! How many client events a connection may send.

use std::time::Instant;

/// An allowance of so many events a second. It starts full, so that as many may come at once.
#[derive(Debug)]
pub(super) struct Bucket {
    tokens: f32,
    filled_at: Instant,
}

impl Bucket {
    pub(super) fn full(per_second: u32, now: Instant) -> Self {
        Self {
            tokens: per_second as f32,
            filled_at: now,
        }
    }

    /// Takes one event out of an allowance of so many a second; false if there is none left.
    pub(super) fn take(&mut self, per_second: u32, now: Instant) -> bool {
        let rate = per_second as f32;
        let elapsed = now.saturating_duration_since(self.filled_at).as_secs_f32();
        self.tokens = (self.tokens + elapsed * rate).min(rate);
        self.filled_at = now;
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn ten_pass_at_once_and_then_ten_a_second() {
        let start = Instant::now();
        let mut bucket = Bucket::full(10, start);
        assert!((0..10).all(|_| bucket.take(10, start)));
        assert!(!bucket.take(10, start));
        assert!(!bucket.take(10, start + Duration::from_millis(50)));
        assert!(bucket.take(10, start + Duration::from_millis(160)));
        let later = start + Duration::from_secs(60);
        assert_eq!((0..20).filter(|_| bucket.take(10, later)).count(), 10);
    }

    #[test]
    fn an_allowance_of_none_lets_nothing_pass() {
        let start = Instant::now();
        let mut bucket = Bucket::full(0, start);
        assert!(!bucket.take(0, start + Duration::from_secs(9)));
    }
}
