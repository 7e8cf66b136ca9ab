//! How long to wait after a failure before the next attempt.

use std::time::Duration;

/// Delays that double with each failure in a row. A part of each is left to chance, so that not
/// everybody comes back at once.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    /// What a delay is multiplied by: the least and the most.
    spread: (f64, f64),
}

impl Backoff {
    /// After the first failure `first`, after very many `longest`, less a random part of up to
    /// half.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            spread: (0.5, 1.0),
        }
    }

    /// With each delay up to this part of it shorter or longer, instead: 0.25 is a quarter either
    /// way.
    pub const fn either_way(self, part: f64) -> Self {
        Self {
            spread: (1.0 - part, 1.0 + part),
            ..self
        }
    }

    /// The delay after so many failures in a row, at least one.
    pub fn delay(self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        let delay = self.first.saturating_mul(1 << doublings).min(self.longest);
        let (least, most) = self.spread;
        delay.mul_f64(rand::random_range(least..=most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Each number of failures with the delay that is meant.
    const MEANT: [(u32, f64); 7] = [
        (0, 1.0),
        (1, 1.0),
        (2, 2.0),
        (3, 4.0),
        (4, 8.0),
        (5, 10.0),
        (u32::MAX, 10.0),
    ];

    fn assert_within(backoff: Backoff, least: f64, most: f64) {
        for (failures, meant) in MEANT {
            let delays: Vec<f64> = (0..200)
                .map(|_| backoff.delay(failures).as_secs_f64())
                .collect();
            // Durations are whole nanoseconds.
            let bounds = meant * least - 1e-6..meant * most + 1e-6;
            assert!(
                delays.iter().all(|delay| bounds.contains(delay)),
                "{failures}: {delays:?}"
            );
            assert!(
                delays.iter().any(|delay| *delay != delays[0]),
                "{failures}: nothing is left to chance"
            );
        }
    }

    #[test]
    fn delays_double_up_to_the_longest_less_up_to_half() {
        assert_within(Backoff::new(SECOND, 10 * SECOND), 0.5, 1.0);
    }

    #[test]
    fn delays_may_vary_either_way() {
        let backoff = Backoff::new(SECOND, 10 * SECOND).either_way(0.25);
        assert_within(backoff, 0.75, 1.25);
    }

    #[test]
    fn the_largest_durations_do_not_overflow() {
        let backoff = Backoff::new(Duration::MAX / 4, Duration::MAX / 2);
        assert!(backoff.delay(u32::MAX) <= Duration::MAX / 2);
    }
}
