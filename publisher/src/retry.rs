//! Trying again.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::Error;

/// No limit; a clock can still add it.
const EVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How often, how soon and for how long a call is tried again whose failure can heal
/// ([`Error::Unavailable`]).
///
/// Between two tries a call waits, twice as long each time up to [`longest_delay`], less a random
/// part of up to half, so that many callers do not come back at once; and never for less than the
/// server asks (`Retry-After`). A call that would have to wait beyond [`total`] ends at once, with
/// the last error.
///
/// [`longest_delay`]: Self::longest_delay
/// [`total`]: Self::total
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a setting does nothing until a configuration has it"]
pub struct Retry {
    times: u32,
    first_delay: Duration,
    longest_delay: Duration,
    total: Duration,
}

impl Default for Retry {
    /// Three times again, the first after up to 0.25 s, within 60 s all in all.
    fn default() -> Self {
        Self {
            times: 3,
            first_delay: Duration::from_millis(250),
            longest_delay: Duration::from_secs(5),
            total: Duration::from_secs(60),
        }
    }
}

impl Retry {
    /// Never again: for callers that keep what failed and try it later themselves. How long the
    /// one try may take is then the timeout's affair alone.
    pub fn none() -> Self {
        Self {
            times: 0,
            total: EVER,
            ..Self::default()
        }
    }

    /// How often a call is tried again: one less than it is tried at most.
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// The longest that a call waits before it is tried again for the first time.
    pub fn first_delay(mut self, delay: Duration) -> Self {
        self.first_delay = delay;
        self
    }

    /// The longest that a call waits between two tries.
    pub fn longest_delay(mut self, delay: Duration) -> Self {
        self.longest_delay = delay;
        self
    }

    /// How long a call may take, all its tries and the waiting between them together. A Fanfare
    /// knows an idempotency key for two minutes.
    pub fn total(mut self, total: Duration) -> Self {
        self.total = total;
        self
    }

    /// Whether anything is tried again.
    pub(crate) fn is_on(&self) -> bool {
        self.times > 0
    }

    /// Tries until it succeeds, fails for good, or has been tried often or long enough. Each try
    /// is given how much time is left for it.
    pub(crate) async fn run<T, F>(&self, mut attempt: impl FnMut(Duration) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let deadline = Instant::now() + self.total.min(EVER);
        let mut failures = 0;
        loop {
            let error = match attempt(deadline - Instant::now()).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            failures += 1;
            let may_heal = matches!(error, Error::Unavailable { .. });
            let delay = self.delay(failures, error.retry_after());
            if !may_heal || failures > self.times || delay >= deadline - Instant::now() {
                return Err(error);
            }
            tracing::debug!(%error, ?delay, "trying again");
            sleep(delay).await;
        }
    }

    fn delay(&self, failures: u32, retry_after: Option<Duration>) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        let doubled = self.first_delay.saturating_mul(2_u32.pow(doublings));
        let longest = doubled.min(self.longest_delay);
        let delay = longest.mul_f64(rand::random_range(0.5..=1.0));
        match retry_after {
            // Whoever was given the same time does not come back at the same moment.
            Some(asked) => asked.saturating_add(delay.min(self.first_delay)),
            None => delay,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::ready;

    use super::*;
    use crate::Invalid;

    fn unavailable(retry_after: Option<Duration>) -> Error {
        Error::Unavailable {
            retry_after,
            message: "gone".into(),
        }
    }

    /// Runs with failures of one kind: how often it was tried, and how long that took.
    async fn failing(retry: Retry, error: Error) -> (u32, Duration) {
        let start = Instant::now();
        let tries = Cell::new(0);
        let result: Result<(), _> = retry
            .run(|_| {
                tries.set(tries.get() + 1);
                ready(Err(error.clone()))
            })
            .await;
        assert_eq!(result, Err(error));
        (tries.get(), start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn delays_double_up_to_the_longest() {
        let seconds = Duration::from_secs_f64;
        let retry = Retry::default()
            .times(4)
            .first_delay(seconds(1.0))
            .longest_delay(seconds(3.0));
        let (tries, took) = failing(retry, unavailable(None)).await;
        // At most 1 + 2 + 3 + 3 s, at least half of it.
        assert_eq!(tries, 5);
        assert!((seconds(4.5)..seconds(9.1)).contains(&took), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_success_ends_it() {
        let tries = Cell::new(0);
        let retry = Retry::default();
        let result = retry.run(|_| {
            tries.set(tries.get() + 1);
            let second = tries.get() == 2;
            ready(second.then_some(7).ok_or_else(|| unavailable(None)))
        });
        assert_eq!(result.await, Ok(7));
        assert_eq!(tries.get(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_heal_is_not_tried_again() {
        let unauthorized = Error::Unauthorized {
            message: String::new(),
        };
        for error in [unauthorized, Invalid::new("name", "is empty").into()] {
            let (tries, took) = failing(Retry::default(), error).await;
            assert_eq!((tries, took), (1, Duration::ZERO));
        }
        let (tries, _) = failing(Retry::none(), unavailable(None)).await;
        assert_eq!(tries, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_is_left_alone_for_as_long_as_it_asks() {
        let asked = Duration::from_secs(7);
        let (tries, took) = failing(Retry::default().times(2), unavailable(Some(asked))).await;
        assert_eq!(tries, 3);
        assert!(
            took >= asked * 2 && took < asked * 2 + Duration::from_secs(1),
            "{took:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn all_of_it_ends_in_time() {
        let total = Duration::from_secs(10);
        let retry = Retry::default().times(u32::MAX).total(total);
        let (tries, took) = failing(retry, unavailable(None)).await;
        assert!(tries > 3 && took <= total, "{tries} in {took:?}");
        let (tries, took) = failing(retry, unavailable(Some(Duration::MAX))).await;
        assert_eq!((tries, took), (1, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn a_try_has_the_time_that_is_left() {
        let total = Duration::from_secs(10);
        let retry = Retry::default().times(1).total(total);
        let left = Cell::new(Vec::new());
        let _: Result<(), _> = retry
            .run(async |time_left| {
                let mut seen = left.take();
                seen.push(time_left);
                left.set(seen);
                sleep(Duration::from_secs(4)).await;
                Err(unavailable(None))
            })
            .await;
        let left = left.take();
        assert_eq!(left[0], total);
        assert!(left[1] <= Duration::from_secs(6), "{left:?}");
    }
}
