//! How often something may happen: buckets that fill with time, each a single number.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// So many a second in the long run, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Nanoseconds in which one more is allowed.
    each: u64,
    /// How many may come at once: at least one.
    burst: u32,
}

/// What is left in a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// How many it holds when it is full.
    pub limit: u32,
    /// How many may come now.
    pub remaining: u32,
    /// How long until it is full.
    pub full_in: Duration,
}

/// It is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Empty {
    /// What is left: nothing.
    pub left: Left,
    /// How long until the next may come.
    pub wait: Duration,
}

/// Nanoseconds since a moment that all buckets of a table share.
pub type Nanos = u64;

impl Rate {
    /// So many a second and so many at once; at least one of each.
    pub fn new(per_second: u32, burst: u32) -> Self {
        Self {
            each: u64::from(1_000_000_000 / per_second.max(1)).max(1),
            burst: burst.max(1),
        }
    }

    /// How many a second, in the long run.
    pub fn per_second(self) -> u32 {
        u32::try_from(1_000_000_000 / self.each).unwrap_or(u32::MAX)
    }

    /// How many at once.
    pub fn burst(self) -> u32 {
        self.burst
    }

    /// Takes one out of a bucket that is full at a time. Returns the time at which it is full then.
    pub fn take(&self, full_at: Nanos, now: Nanos) -> Result<(Nanos, Left), Empty> {
        let missing = full_at.saturating_sub(now) + self.each;
        match missing.checked_sub(self.capacity()) {
            None | Some(0) => Ok((now + missing, self.left(missing))),
            Some(wait) => Err(Empty {
                left: self.left(missing - self.each),
                wait: Duration::from_nanos(wait),
            }),
        }
    }

    fn left(&self, missing: u64) -> Left {
        let remaining = self.capacity().saturating_sub(missing) / self.each;
        Left {
            limit: self.burst,
            remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
            full_in: Duration::from_nanos(missing),
        }
    }

    fn capacity(&self) -> u64 {
        self.each * u64::from(self.burst)
    }
}

/// A bucket of one owner's, for whom it is the same rate every time.
#[derive(Debug)]
pub struct Bucket {
    full_at: Instant,
}

impl Bucket {
    /// A full one.
    pub fn full(now: Instant) -> Self {
        Self { full_at: now }
    }

    /// Takes one out; false if it is empty.
    pub fn take(&mut self, rate: Rate, now: Instant) -> bool {
        let full_at = self.full_at.max(now) + Duration::from_nanos(rate.each);
        let is_there = full_at <= now + Duration::from_nanos(rate.capacity());
        if is_there {
            self.full_at = full_at;
        }
        is_there
    }
}

/// A bucket that threads share without a lock.
#[derive(Debug)]
pub struct SharedBucket {
    rate: Rate,
    start: Instant,
    full_at: AtomicU64,
}

impl SharedBucket {
    /// A full one.
    pub fn full(rate: Rate, now: Instant) -> Self {
        Self {
            rate,
            start: now,
            full_at: AtomicU64::new(0),
        }
    }

    /// Takes one out.
    pub fn take(&self, now: Instant) -> Result<Left, Empty> {
        let now = nanos_since(self.start, now);
        let mut full_at = self.full_at.load(Ordering::Relaxed);
        loop {
            let (later, left) = self.rate.take(full_at, now)?;
            let order = (Ordering::Relaxed, Ordering::Relaxed);
            let exchanged = self
                .full_at
                .compare_exchange_weak(full_at, later, order.0, order.1);
            match exchanged {
                Ok(_) => return Ok(left),
                Err(other) => full_at = other,
            }
        }
    }
}

/// Nanoseconds from one moment to another; 584 years at most.
pub fn nanos_since(start: Instant, now: Instant) -> Nanos {
    let passed = now.saturating_duration_since(start).as_nanos();
    Nanos::try_from(passed).unwrap_or(Nanos::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_burst_passes_and_then_so_many_a_second() {
        let rate = Rate::new(10, 3);
        let mut full_at = 0;
        for remaining in [2, 1, 0] {
            let (later, left) = rate.take(full_at, 5).unwrap();
            full_at = later;
            assert_eq!((left.limit, left.remaining), (3, remaining));
        }
        let empty = rate.take(full_at, 5).unwrap_err();
        assert_eq!(empty.wait, Duration::from_millis(100));
        assert_eq!(empty.left.remaining, 0);
        assert_eq!(empty.left.full_in, Duration::from_millis(300));
        let empty = rate.take(full_at, 5 + SECOND / 20).unwrap_err();
        assert_eq!(empty.wait, Duration::from_millis(50));
        assert!(rate.take(full_at, 5 + SECOND / 10).is_ok());
    }

    #[test]
    fn ten_pass_at_once_and_then_ten_a_second() {
        let start = Instant::now();
        let mut bucket = Bucket::full(start);
        let rate = Rate::new(10, 10);
        let mut takes = |now| bucket.take(rate, now);
        assert!((0..10).all(|_| takes(start)));
        assert!(!takes(start));
        assert!(!takes(start + Duration::from_millis(50)));
        assert!(takes(start + Duration::from_millis(160)));
        let later = start + Duration::from_secs(60);
        assert_eq!((0..20).filter(|_| takes(later)).count(), 10);
    }

    #[test]
    fn threads_take_no_more_than_there_is() {
        let start = Instant::now();
        let bucket = SharedBucket::full(Rate::new(1, 1000), start);
        let taken: usize = std::thread::scope(|scope| {
            let take = || (0..600).filter(|_| bucket.take(start).is_ok()).count();
            let threads = [scope.spawn(take), scope.spawn(take)];
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        assert_eq!(taken, 1000);
        assert!(bucket.take(start + Duration::from_secs(1)).is_ok());
        assert!(bucket.take(start + Duration::from_secs(1)).is_err());
    }

    /// Counts tokens, a whole one each `each` nanoseconds.
    struct Model {
        parts: u128,
        each: u128,
        burst: u128,
        at: u64,
    }

    impl Model {
        fn take(&mut self, now: u64) -> bool {
            let full = self.burst * self.each;
            self.parts = (self.parts + u128::from(now - self.at)).min(full);
            self.at = now;
            let is_there = self.parts >= self.each;
            if is_there {
                self.parts -= self.each;
            }
            is_there
        }
    }

    proptest! {
        #[test]
        fn a_bucket_is_what_a_count_of_tokens_is(
            per_second in 1_u32..2000,
            burst in 1_u32..50,
            pauses in proptest::collection::vec(0_u64..SECOND / 10, 1..200),
        ) {
            let rate = Rate::new(per_second, burst);
            let mut model = Model {
                parts: u128::from(burst) * u128::from(rate.each),
                each: rate.each.into(),
                burst: burst.into(),
                at: 0,
            };
            let start = Instant::now();
            let mut bucket = Bucket::full(start);
            let (mut full_at, mut now) = (0, 0);
            for pause in pauses {
                now += pause;
                let is_there = bucket.take(rate, start + Duration::from_nanos(now));
                prop_assert_eq!(is_there, rate.take(full_at, now).is_ok());
                match rate.take(full_at, now) {
                    Ok((later, left)) => {
                        full_at = later;
                        prop_assert!(model.take(now));
                        prop_assert_eq!(u128::from(left.remaining), model.parts / model.each);
                    }
                    Err(empty) => {
                        prop_assert!(!model.take(now));
                        let wait = u64::try_from(empty.wait.as_nanos()).unwrap();
                        prop_assert_eq!(u128::from(wait), model.each - model.parts);
                        prop_assert!(rate.take(full_at, now + wait).is_ok());
                        prop_assert!(rate.take(full_at, now + wait - 1).is_err());
                    }
                }
            }
        }
    }
}
