//! How often somebody may try to log in.
//!
//! Attempts are counted by e-mail address and client together, as Laravel does, and by each alone:
//! one client that tries many accounts is stopped, and so is one account that is tried from many
//! clients. Where somebody has logged in to an account before, strangers' attempts on it, and those
//! of others behind the same proxy, do not count: nobody is locked out of where they work. Memory
//! is bounded: what has not been tried for longest is forgotten first.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use lru::LruCache;
use parking_lot::Mutex;

/// How long attempts count.
const WINDOW: Duration = Duration::from_secs(60);
/// Attempts of one client on one account within the window.
const MOST_OF_PAIR: u32 = 5;
/// Attempts from one address within the window.
const MOST_OF_PEER: u32 = 30;
/// The same, from one that says to be a proxy: it may be that of everybody, or of a liar.
const MOST_OF_LIKELY_PROXY: u32 = 300;
/// Attempts on one account within the window.
const MOST_OF_EMAIL: u32 = 30;
/// Pairs, addresses and accounts that are remembered.
const MOST_REMEMBERED: NonZeroUsize = NonZeroUsize::new(30_000).expect("it is not zero");

/// Counts attempts to log in.
#[derive(Debug)]
pub struct Attempts {
    memory: Mutex<Memory>,
}

#[derive(Debug)]
struct Memory {
    counts: LruCache<Subject, Count>,
    /// Who has logged in to what.
    known: LruCache<(Client, Box<str>), ()>,
}

/// Who makes an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client {
    /// The address that it comes from.
    pub address: IpAddr,
    /// For whom that address says to ask, if it does and is not trusted.
    pub claimed: Option<IpAddr>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Subject {
    Pair(Client, Box<str>),
    Peer(IpAddr),
    Email(Box<str>),
}

#[derive(Clone, Copy, Debug)]
struct Count {
    attempts: u32,
    ends: Instant,
}

impl Client {
    fn network(self) -> Self {
        Self {
            address: network(self.address),
            claimed: self.claimed.map(network),
        }
    }
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
            memory: Mutex::new(Memory {
                counts: LruCache::new(MOST_REMEMBERED),
                known: LruCache::new(MOST_REMEMBERED),
            }),
        }
    }
}

impl Attempts {
    /// Counts an attempt, before the password is looked at: many at once do not get past the
    /// limit.
    pub fn begin(&self, client: Client, email: &str, now: Instant) -> Result<(), TooMany> {
        let client = client.network();
        let mut memory = self.memory.lock();
        let limits = memory.limits(client, email);
        let counts = &mut memory.counts;
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
    pub fn succeeded(&self, client: Client, email: &str) {
        let client = client.network();
        let mut memory = self.memory.lock();
        let pair = memory.counts.pop(&Subject::Pair(client, email.into()));
        let was_known = memory.known.put((client, email.into()), ()).is_some();
        // Where it was known, only the pair counted.
        let Some(pair) = pair.filter(|_| !was_known) else {
            return;
        };
        for subject in [Subject::Peer(client.address), Subject::Email(email.into())] {
            if let Some(count) = memory.counts.peek_mut(&subject) {
                count.attempts = count.attempts.saturating_sub(pair.attempts);
            }
        }
    }
}

impl Memory {
    /// What an attempt counts towards, and how many are allowed.
    fn limits(&mut self, client: Client, email: &str) -> Vec<(Subject, u32)> {
        let mut limits = vec![(Subject::Pair(client, email.into()), MOST_OF_PAIR)];
        if self.known.get(&(client, email.into())).is_none() {
            let most = match client.claimed {
                Some(_) => MOST_OF_LIKELY_PROXY,
                None => MOST_OF_PEER,
            };
            limits.push((Subject::Peer(client.address), most));
            limits.push((Subject::Email(email.into()), MOST_OF_EMAIL));
        }
        limits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const CLIENT: Client = Client {
        address: ADDRESS,
        claimed: None,
    };

    fn client(address: impl Into<IpAddr>) -> Client {
        Client {
            address: address.into(),
            claimed: None,
        }
    }

    /// Whom an untrusted proxy says to ask for.
    fn behind_proxy(claimed: [u8; 4]) -> Client {
        Client {
            claimed: Some(claimed.into()),
            ..CLIENT
        }
    }

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
        let refused = |client: &dyn Fn(u8) -> Client, email: &dyn Fn(u8) -> String| {
            (0..100)
                .filter(|&number| {
                    attempts
                        .begin(client(number), &email(number), start)
                        .is_err()
                })
                .count()
        };
        assert_eq!(refused(&|_| CLIENT, &|number| format!("{number}@b")), 70);
        let other = |number| client([10, 0, 1, number]);
        assert_eq!(refused(&other, &|_| "target@b".into()), 70);
    }

    #[test]
    fn nobody_is_locked_out_of_where_they_have_logged_in() {
        let attempts = Attempts::default();
        let start = Instant::now();
        let (user, email) = (behind_proxy([192, 0, 2, 1]), "a@b");
        assert_eq!(attempts.begin(user, email, start), Ok(()));
        attempts.succeeded(user, email);
        // From everywhere and through the same proxy.
        for number in 0..=255 {
            let _ = attempts.begin(client([10, 0, 1, number]), email, start);
            let _ = attempts.begin(behind_proxy([10, 0, 2, number]), email, start);
            let _ = attempts.begin(behind_proxy([10, 0, 3, number]), &number.to_string(), start);
        }
        for _ in 0..5 {
            assert_eq!(attempts.begin(user, email, start), Ok(()));
        }
        assert!(attempts.begin(user, email, start).is_err());
        attempts.succeeded(user, email);
        let stranger = behind_proxy([10, 0, 4, 1]);
        assert!(attempts.begin(stranger, email, start).is_err(), "{email}");
    }

    #[test]
    fn those_behind_one_proxy_are_distinguished_and_a_liar_is_bounded() {
        let attempts = Attempts::default();
        let start = Instant::now();
        let allowed = |number: u16| {
            let [high, low] = number.to_be_bytes();
            let claimed = behind_proxy([10, 1, high, low]);
            attempts.begin(claimed, &number.to_string(), start).is_ok()
        };
        assert_eq!((0..1000).filter(|&number| allowed(number)).count(), 300);
    }

    #[test]
    fn ones_own_account_wins_no_attempts_on_others() {
        let attempts = Attempts::default();
        let start = Instant::now();
        let mut tried = 0;
        for number in 0..100 {
            for _ in 0..5 {
                let _ = attempts.begin(CLIENT, "own@b", start);
            }
            attempts.succeeded(CLIENT, "own@b");
            let other = attempts.begin(CLIENT, &number.to_string(), start);
            tried += u32::from(other.is_ok());
        }
        assert_eq!(tried, MOST_OF_PEER);
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let parse = |address: &str| network(address.parse().unwrap());
        assert_eq!(parse("2001:db8:1:2:3:4:5:6"), parse("2001:db8:1:2::1"));
        assert_ne!(parse("2001:db8:1:2::1"), parse("2001:db8:1:3::1"));
        assert_eq!(parse("::ffff:10.0.0.1"), ADDRESS);
    }

    #[test]
    fn memory_is_bounded() {
        let attempts = Attempts::default();
        let start = Instant::now();
        for number in 0..40_000_u32 {
            let _ = attempts.begin(client(number.to_be_bytes()), &number.to_string(), start);
        }
        assert_eq!(attempts.memory.lock().counts.len(), MOST_REMEMBERED.get());
    }
}
