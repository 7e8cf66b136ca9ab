//! How often each client may do something.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::time::Instant;

use lru::LruCache;
use parking_lot::Mutex;

use crate::metrics::Gauge;
use crate::net::block::Block;
use crate::net::rate::{Empty, Left, Nanos, Rate, nanos_since};

/// Clients that are remembered. Whoever has more networks than that has more than a limit by address
/// keeps away.
const MOST_REMEMBERED: NonZeroUsize = NonZeroUsize::new(1 << 16).expect("it is not zero");

/// A bucket for each client. The one that was not used for longest is forgotten first, and is
/// full if it comes back.
#[derive(Debug)]
pub struct Rates {
    rate: Rate,
    start: Instant,
    /// When each bucket is full.
    full_at: Mutex<LruCache<Block, Nanos>>,
    /// How many are remembered.
    remembered: Gauge,
}

impl Rates {
    /// All are full. `remembered` shows how many clients are.
    pub fn new(rate: Rate, now: Instant, remembered: Gauge) -> Self {
        Self {
            rate,
            start: now,
            full_at: Mutex::new(LruCache::new(MOST_REMEMBERED)),
            remembered,
        }
    }

    /// Takes one out of the client's bucket.
    pub fn take(&self, client: IpAddr, now: Instant) -> Result<Left, Empty> {
        let now = nanos_since(self.start, now);
        let mut buckets = self.full_at.lock();
        let full_at = buckets.get_or_insert_mut(client.into(), || 0);
        let taken = self.rate.take(*full_at, now).map(|(later, left)| {
            *full_at = later;
            left
        });
        self.remembered.set(buckets.len() as i64);
        taken
    }

    /// Whether there is one in the client's bucket, which stays there.
    pub fn look(&self, client: IpAddr, now: Instant) -> Result<(), Empty> {
        let now = nanos_since(self.start, now);
        let full_at = self.full_at.lock().peek(&client.into()).copied();
        self.rate.take(full_at.unwrap_or(0), now).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_client_has_a_bucket_of_its_own() {
        let start = Instant::now();
        let rates = Rates::new(Rate::new(1, 2), start, Gauge::default());
        let take = |text: &str, now| rates.take(text.parse().unwrap(), now);
        assert!(take("10.0.0.1", start).is_ok());
        assert!(take("10.0.0.1", start).is_ok());
        let empty = take("10.0.0.1", start).unwrap_err();
        assert_eq!(empty.wait, Duration::from_secs(1));
        let look = |text: &str| rates.look(text.parse().unwrap(), start);
        assert_eq!(look("10.0.0.1"), Err(empty));
        assert!(look("10.0.0.2").is_ok() && look("10.0.0.2").is_ok());
        assert!(take("10.0.0.2", start).is_ok());
        assert!(take("10.0.0.1", start + Duration::from_secs(1)).is_ok());
        assert!(take("10.0.0.1", start + Duration::from_secs(1)).is_err());
    }

    #[test]
    fn strangers_from_everywhere_take_no_more_memory() {
        let start = Instant::now();
        let rates = Rates::new(Rate::new(1, 1), start, Gauge::default());
        for number in 0..3 * MOST_REMEMBERED.get() as u128 {
            let address = Ipv6Addr::from_bits(number << 64);
            assert!(rates.take(address.into(), start).is_ok());
        }
        assert_eq!(rates.full_at.lock().len(), MOST_REMEMBERED.get());
        assert_eq!(rates.remembered.get(), MOST_REMEMBERED.get() as i64);
    }
}
