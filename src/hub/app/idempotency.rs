//! Publishes that carry a key: each is done once, however often it is sent.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use foldhash::fast::RandomState;
use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::answers::Answers;
use crate::metrics::Counter;

/// The keys of one app: those whose publish is under way, and for a while those whose publish
/// is done.
///
/// One call is all there is to it, and it may take a while: so several nodes can share keys.
#[derive(Debug)]
pub struct Idempotency {
    keys: Mutex<Keys>,
}

#[derive(Debug)]
struct Keys {
    answers: Answers,
    under_way: HashMap<Arc<str>, UnderWay, RandomState>,
}

/// A key that somebody publishes under, or is about to.
#[derive(Debug, Default)]
struct UnderWay {
    outcome: Outcome,
    /// How many publish or wait: the last to go takes the key with it.
    places: usize,
}

/// Held by the one who publishes; the others queue for it. Filled in once the publish is done,
/// so that those who wait learn the answer even if it is not remembered for long.
type Outcome = Arc<AsyncMutex<Option<Bytes>>>;

/// What comes of asking for a key.
#[derive(Debug)]
pub enum Claim<'k> {
    /// The publish is the caller's to do.
    Granted(Turn<'k>),
    /// The publish was done, with this answer.
    Answered(Bytes),
}

/// What comes of asking those who share keys.
#[derive(Debug)]
pub enum SharedClaim {
    /// The publish is the caller's to do.
    Granted(SharedTurn),
    /// The publish was done elsewhere, with this answer.
    Answered(Bytes),
}

/// The right to publish under a key among all who share it. Dropped without
/// [`SharedTurn::complete`], it is given back.
pub struct SharedTurn(Option<Box<dyn FnOnce(Option<Bytes>) + Send>>);

impl SharedTurn {
    /// Nobody shares the key.
    pub fn of_nobody() -> Self {
        Self(None)
    }

    /// `end` is called once: with the answer, or with nothing if the turn is given back. It must
    /// not block.
    pub fn new(end: impl FnOnce(Option<Bytes>) + Send + 'static) -> Self {
        Self(Some(Box::new(end)))
    }

    /// It turned out to be somebody else's.
    pub fn disarm(mut self) {
        self.0 = None;
    }

    /// The publish is done, and everybody else gets this answer.
    pub fn complete(mut self, answer: &Bytes) {
        if let Some(end) = self.0.take() {
            end(Some(answer.clone()));
        }
    }
}

impl Drop for SharedTurn {
    fn drop(&mut self) {
        if let Some(end) = self.0.take() {
            end(None);
        }
    }
}

impl fmt::Debug for SharedTurn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedTurn").finish_non_exhaustive()
    }
}

/// The right to publish under a key. Dropped without [`Turn::complete`], it passes to the next
/// in line, or else leaves no trace.
#[derive(Debug)]
pub struct Turn<'k> {
    outcome: OwnedMutexGuard<Option<Bytes>>,
    place: Place<'k>,
}

/// A place in a key's line.
#[derive(Debug)]
struct Place<'k> {
    keys: &'k Mutex<Keys>,
    key: Arc<str>,
}

impl Idempotency {
    /// Expired answers that are dropped under one lock.
    const SWEPT_AT_ONCE: usize = 256;

    /// No keys yet; at most so many bytes of answers will be remembered. Those that go early
    /// are counted.
    pub(super) fn new(max_bytes: usize, evictions: Counter) -> Self {
        let keys = Keys {
            answers: Answers::new(max_bytes, evictions),
            under_way: HashMap::default(),
        };
        Self {
            keys: Mutex::new(keys),
        }
    }

    /// At most so many bytes of answers are remembered from now on.
    pub(super) fn set_max_bytes(&self, max_bytes: usize) {
        self.keys.lock().answers.set_max_bytes(max_bytes);
    }

    /// Asks for a key. While somebody else publishes under it, this waits: for the answer, or
    /// for the turn, first come, first served.
    pub async fn claim(&self, key: &str) -> Claim<'_> {
        let (key, outcome) = {
            let mut keys = self.keys.lock();
            if let Some(answer) = keys.answers.get(key, Instant::now()) {
                return Claim::Answered(answer);
            }
            keys.line_up(key)
        };
        let place = Place {
            keys: &self.keys,
            key,
        };
        let outcome = outcome.lock_owned().await;
        match &*outcome {
            Some(answer) => Claim::Answered(answer.clone()),
            None => Claim::Granted(Turn { outcome, place }),
        }
    }

    /// Drops the answers that have expired.
    pub(super) fn expire(&self, now: Instant) {
        while self.keys.lock().answers.expire(now, Self::SWEPT_AT_ONCE) {}
    }
}

impl Keys {
    /// Counts one more who publishes under the key or waits.
    fn line_up(&mut self, key: &str) -> (Arc<str>, Outcome) {
        let key = Arc::from(key);
        let under_way = self.under_way.entry(Arc::clone(&key)).or_default();
        under_way.places += 1;
        (key, Arc::clone(&under_way.outcome))
    }
}

impl Turn<'_> {
    /// The publish is done: whoever sends it again, or waits, gets this answer.
    pub fn complete(mut self, answer: Bytes) {
        *self.outcome = Some(answer.clone());
        let Place { keys, key } = &self.place;
        keys.lock()
            .answers
            .put(Arc::clone(key), answer, Instant::now());
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let under_way = &mut self.keys.lock().under_way;
        if let Some(own) = under_way.get_mut(&self.key) {
            own.places -= 1;
            if own.places == 0 {
                under_way.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt as _;

    use super::*;

    fn store(max_bytes: usize) -> Idempotency {
        Idempotency::new(max_bytes, Counter::default())
    }

    fn answer() -> Bytes {
        Bytes::from_static(b"{}")
    }

    /// What comes of a claim that need not wait.
    fn at_once<'k>(store: &'k Idempotency, key: &str) -> Claim<'k> {
        let claim = store.claim(key).now_or_never();
        claim.expect("nobody else is publishing under the key")
    }

    fn granted(claim: Claim<'_>) -> Turn<'_> {
        match claim {
            Claim::Granted(turn) => turn,
            Claim::Answered(answer) => panic!("answered with {answer:?}"),
        }
    }

    fn answered(claim: Claim<'_>) -> Bytes {
        match claim {
            Claim::Granted(_) => panic!("it was not done yet"),
            Claim::Answered(answer) => answer,
        }
    }

    fn keys_under_way(store: &Idempotency) -> usize {
        store.keys.lock().under_way.len()
    }

    #[test]
    fn the_first_publishes_and_all_others_get_its_answer() {
        let store = store(10_000);
        let turn = granted(at_once(&store, "k"));
        let (mut second, mut third) = (pin!(store.claim("k")), pin!(store.claim("k")));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(third.as_mut().now_or_never().is_none());
        granted(at_once(&store, "another key"));
        turn.complete(answer());
        assert_eq!(answered(at_once(&store, "k")), answer());
        for waiting in [second, third] {
            assert_eq!(waiting.now_or_never().map(answered), Some(answer()));
        }
        assert_eq!(keys_under_way(&store), 0);
    }

    #[test]
    fn a_publish_that_fails_leaves_its_turn_to_the_next_in_line() {
        let store = store(10_000);
        let first = granted(at_once(&store, "k"));
        let (mut second, mut third) = (pin!(store.claim("k")), pin!(store.claim("k")));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(third.as_mut().now_or_never().is_none());
        drop(first);
        assert!(third.as_mut().now_or_never().is_none(), "it is not first");
        let turn = second.now_or_never().map(granted);
        drop(turn.expect("the first has gone"));
        let turn = third.now_or_never().map(granted);
        turn.expect("nobody else is there").complete(answer());
        assert_eq!(keys_under_way(&store), 0);
    }

    #[test]
    fn who_goes_away_while_waiting_is_passed_over() {
        let store = store(10_000);
        let first = granted(at_once(&store, "k"));
        let (mut second, mut third) = (Box::pin(store.claim("k")), pin!(store.claim("k")));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(third.as_mut().now_or_never().is_none());
        // The turn is the second's already when it goes.
        drop(first);
        drop(second);
        drop(third.now_or_never().map(granted).expect("it is next"));
        assert_eq!(keys_under_way(&store), 0);
        granted(at_once(&store, "k"));
        assert_eq!(keys_under_way(&store), 0);
    }

    #[test]
    fn an_answer_that_is_too_large_to_remember_reaches_those_who_wait() {
        let store = store(1);
        let first = granted(at_once(&store, "k"));
        let mut second = pin!(store.claim("k"));
        assert!(second.as_mut().now_or_never().is_none());
        first.complete(answer());
        assert_eq!(second.now_or_never().map(answered), Some(answer()));
        granted(at_once(&store, "k"));
    }

    #[test]
    fn expired_answers_are_all_dropped() {
        let store = store(1 << 20);
        for number in 0..1000 {
            granted(at_once(&store, &number.to_string())).complete(answer());
        }
        store.expire(Instant::now());
        assert_eq!(answered(at_once(&store, "999")), answer());
        store.expire(Instant::now() + std::time::Duration::from_secs(121));
        granted(at_once(&store, "0"));
        granted(at_once(&store, "999"));
    }

    /// Asks for the key, and publishes if it falls to this thread and may succeed.
    fn publish(store: &Idempotency, key: &str, succeeds: bool) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        match runtime.block_on(store.claim(key)) {
            Claim::Granted(turn) if succeeds => {
                std::thread::yield_now();
                turn.complete(answer());
                true
            }
            Claim::Granted(_) | Claim::Answered(_) => false,
        }
    }

    #[test]
    fn a_rush_from_all_threads_publishes_once() {
        const THREADS: usize = 8;
        const KEYS: usize = 50;
        let (store, ready) = (store(1 << 20), std::sync::Barrier::new(THREADS));
        let published = std::thread::scope(|scope| {
            let ask = |thread: usize| {
                let (store, ready) = (&store, &ready);
                move || {
                    let each = (0..KEYS).filter(|key| {
                        ready.wait();
                        publish(store, &key.to_string(), thread > 2)
                    });
                    each.count()
                }
            };
            let threads: Vec<_> = (0..THREADS)
                .map(|thread| scope.spawn(ask(thread)))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum::<usize>()
        });
        assert_eq!((published, keys_under_way(&store)), (KEYS, 0));
    }
}
