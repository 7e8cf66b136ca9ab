//! How long to wait after a failure.

use std::time::Duration;

/// Grows with each failure in a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    /// After the first failure.
    pub(super) first: Duration,
    /// After very many.
    pub(super) longest: Duration,
}

impl Backoff {
    /// The delay after so many failures, at least one. A random part of up to half is taken off,
    /// so that not everybody comes back at once.
    pub(super) fn delay(self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        let delay = self.first.saturating_mul(1 << doublings).min(self.longest);
        delay.mul_f64(rand::random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest() {
        let second = Duration::from_secs(1);
        let backoff = Backoff {
            first: second,
            longest: 10 * second,
        };
        for (failures, longest) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (u32::MAX, 10)] {
            let delay = backoff.delay(failures);
            assert!(
                delay <= longest * second && delay >= longest * second / 2,
                "{delay:?}"
            );
        }
    }
}
