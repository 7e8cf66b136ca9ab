//! How often somebody may try to log in.
//!
//! Attempts are counted by e-mail address and client together, as Laravel does, and by each alone:
//! one client that tries many accounts is stopped, and so is one account that is tried from many
//! clients. Memory is bounded: what has not been tried for longest is forgotten first.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use lru::LruCache;
use parking_lot::Mutex;

/// How long attempts count.
const WINDOW: Duration = Duration::from_secs(60);
/// Attempts of one client on one account within the window.
const MOST_OF_PAIR: u32 = 5;
/// Attempts of one client within the window.
const MOST_OF_CLIENT: u32 = 30;
/// Attempts on one account within the window.
const MOST_OF_EMAIL: u32 = 30;
/// Pairs, clients and accounts that are remembered.
const MOST_REMEMBERED: NonZeroUsize = NonZeroUsize::new(30_000).expect("it is not zero");

/// Counts attempts to log in.
#[derive(Debug)]
pub struct Attempts {
    counts: Mutex<LruCache<Subject, Count>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Subject {
    Pair(IpAddr, Box<str>),
    Client(IpAddr),
    Email(Box<str>),
}

#[derive(Clone, Copy, Debug)]
struct Count {
    attempts: u32,
    ends: Instant,
}

/// Whoever has an IPv6 address has all of its /64: that counts as one client.
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        address @ IpAddr::V4(_) => address,
    }
}

/// There were too many attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany {
    /// How long none is allowed.
    pub retry_after: Duration,
}

impl Default for Attempts {
    fn default() -> Self {
        Self {
            counts: Mutex::new(LruCache::new(MOST_REMEMBERED)),
        }
    }
}

impl Attempts {
    /// Counts an attempt, before the password is looked at: many at once do not get past the
    /// limit.
    pub fn begin(&self, client: IpAddr, email: &str, now: Instant) -> Result<(), TooMany> {
        let client = network(client);
        let limits = [
            (Subject::Pair(client, email.into()), MOST_OF_PAIR),
            (Subject::Client(client), MOST_OF_CLIENT),
            (Subject::Email(email.into()), MOST_OF_EMAIL),
        ];
        let mut counts = self.counts.lock();
        for (subject, most) in &limits {
            if let Some(count) = counts.get(subject)
                && count.attempts >= *most
                && count.ends > now
            {
                return Err(TooMany {
                    retry_after: count.ends - now,
                });
            }
        }
        for (subject, _) in limits {
            let fresh = Count {
                attempts: 0,
                ends: now + WINDOW,
            };
            let count = counts.get_or_insert_mut(subject, || fresh);
            if count.ends <= now {
                *count = fresh;
            }
            count.attempts += 1;
        }
        Ok(())
    }

    /// The attempt succeeded: what this client tried on this account no longer counts.
    pub fn succeeded(&self, client: IpAddr, email: &str) {
        let client = network(client);
        let mut counts = self.counts.lock();
        let Some(pair) = counts.pop(&Subject::Pair(client, email.into())) else {
            return;
        };
        for subject in [Subject::Client(client), Subject::Email(email.into())] {
            if let Some(count) = counts.peek_mut(&subject) {
                count.attempts = count.attempts.saturating_sub(pair.attempts);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    #[test]
    fn a_client_has_five_attempts_a_minute_on_an_account() {
        let attempts = Attempts::default();
        let start = Instant::now();
        for _ in 0..5 {
            assert_eq!(attempts.begin(CLIENT, "a@b", start), Ok(()));
        }
        let later = start + Duration::from_secs(20);
        let retry_after = Duration::from_secs(40);
        assert_eq!(
            attempts.begin(CLIENT, "a@b", later),
            Err(TooMany { retry_after })
        );
        assert_eq!(attempts.begin(CLIENT, "other@b", later), Ok(()));
        assert_eq!(attempts.begin(CLIENT, "a@b", start + WINDOW), Ok(()));
    }

    #[test]
    fn success_starts_afresh() {
        let attempts = Attempts::default();
        let start = Instant::now();
        for _ in 0..100 {
            assert_eq!(attempts.begin(CLIENT, "a@b", start), Ok(()));
            attempts.succeeded(CLIENT, "a@b");
        }
    }

    #[test]
    fn one_client_may_not_try_many_accounts_nor_many_clients_one() {
        let attempts = Attempts::default();
        let start = Instant::now();
        let refused = |client: &dyn Fn(u8) -> IpAddr, email: &dyn Fn(u8) -> String| {
            (0..100)
                .filter(|&number| {
                    attempts
                        .begin(client(number), &email(number), start)
                        .is_err()
                })
                .count()
        };
        assert_eq!(refused(&|_| CLIENT, &|number| format!("{number}@b")), 70);
        let client = |number| IpAddr::from([10, 0, 1, number]);
        assert_eq!(refused(&client, &|_| "target@b".into()), 70);
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let parse = |address: &str| network(address.parse().unwrap());
        assert_eq!(parse("2001:db8:1:2:3:4:5:6"), parse("2001:db8:1:2::1"));
        assert_ne!(parse("2001:db8:1:2::1"), parse("2001:db8:1:3::1"));
        assert_eq!(parse("::ffff:10.0.0.1"), CLIENT);
    }

    #[test]
    fn memory_is_bounded() {
        let attempts = Attempts::default();
        let start = Instant::now();
        for number in 0..40_000_u32 {
            let _ = attempts.begin(
                IpAddr::from(number.to_be_bytes()),
                &number.to_string(),
                start,
            );
        }
        assert_eq!(attempts.counts.lock().len(), MOST_REMEMBERED.get());
    }
}
