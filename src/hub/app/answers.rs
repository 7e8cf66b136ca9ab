//! The answers to publishes that carried an idempotency key.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use foldhash::fast::RandomState;
use lru::LruCache;

use crate::metrics::Counter;

/// How long an answer is remembered.
const KEPT_FOR: Duration = Duration::from_secs(120);

/// An app's answers by key. They expire in the order in which they came; when the app's bytes
/// are used up, the oldest go first.
#[derive(Debug)]
pub(super) struct Answers {
    /// Put into and peeked at only, so that the least recently used is the oldest.
    by_key: LruCache<Arc<str>, Remembered, RandomState>,
    bytes: usize,
    max_bytes: usize,
    evictions: Counter,
}

#[derive(Debug)]
struct Remembered {
    answer: Bytes,
    expires_at: Instant,
}

impl Answers {
    pub(super) fn new(max_bytes: usize, evictions: Counter) -> Self {
        Self {
            by_key: LruCache::unbounded_with_hasher(RandomState::default()),
            bytes: 0,
            max_bytes,
            evictions,
        }
    }

    /// Remembers the answer to a key's publish.
    pub(super) fn put(&mut self, key: Arc<str>, answer: Bytes, now: Instant) {
        self.expire(now, 2);
        let cost = Self::cost(&key, &answer);
        if cost > self.max_bytes {
            // All others would have to go, and it would not fit even then.
            self.evictions.inc();
            return;
        }
        let remembered = Remembered {
            answer,
            expires_at: now + KEPT_FOR,
        };
        self.bytes += cost;
        if let Some(old) = self.by_key.put(Arc::clone(&key), remembered) {
            self.bytes -= Self::cost(&key, &old.answer);
        }
        self.make_room(now);
    }

    /// At most so many bytes are remembered from now on.
    pub(super) fn set_max_bytes(&mut self, max_bytes: usize) {
        self.max_bytes = max_bytes;
        self.make_room(Instant::now());
    }

    fn make_room(&mut self, now: Instant) {
        while self.bytes > self.max_bytes {
            if self.pop().is_some_and(|oldest| oldest.expires_at > now) {
                self.evictions.inc();
            }
        }
    }

    /// The answer to the key's publish, if it is remembered.
    pub(super) fn get(&self, key: &str, now: Instant) -> Option<Bytes> {
        self.by_key
            .peek(key)
            .filter(|remembered| remembered.expires_at > now)
            .map(|remembered| remembered.answer.clone())
    }

    /// Drops what has expired, but at most so many. Returns whether that may not be all.
    pub(super) fn expire(&mut self, now: Instant, most: usize) -> bool {
        for _ in 0..most {
            let oldest = self.by_key.peek_lru();
            if oldest.is_none_or(|(_, oldest)| oldest.expires_at > now) {
                return false;
            }
            self.pop();
        }
        true
    }

    fn pop(&mut self) -> Option<Remembered> {
        let (key, oldest) = self.by_key.pop_lru()?;
        self.bytes -= Self::cost(&key, &oldest.answer);
        Some(oldest)
    }

    /// What an entry takes up, the tables' own overhead roughly included.
    fn cost(key: &str, answer: &Bytes) -> usize {
        const ENTRY: usize = 192;
        key.len() + answer.len() + ENTRY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(max_bytes: usize) -> Answers {
        Answers::new(max_bytes, Counter::default())
    }

    fn empty() -> Bytes {
        Bytes::from_static(b"{}")
    }

    #[test]
    fn an_answer_is_remembered_for_two_minutes() {
        let (mut answers, start) = (answers(10_000), Instant::now());
        answers.put("k".into(), empty(), start);
        let end = start + KEPT_FOR;
        assert_eq!(
            answers.get("k", end - Duration::from_millis(1)),
            Some(empty())
        );
        assert_eq!(answers.get("k", end), None);
        assert_eq!(answers.get("other", start), None);
        // Asked for again after its time, before anybody has swept.
        answers.put("k".into(), Bytes::from_static(b"[]"), end);
        assert_eq!(answers.get("k", end), Some(Bytes::from_static(b"[]")));
        assert_eq!((answers.bytes, answers.by_key.len()), (195, 1));
    }

    #[test]
    fn what_has_expired_goes_in_small_parts() {
        let (mut answers, start) = (answers(100_000), Instant::now());
        for number in 0..10 {
            answers.put(number.to_string().into(), empty(), start);
        }
        let second = start + Duration::from_secs(1);
        answers.put("late".into(), empty(), second);
        assert!(!answers.expire(start, 4));
        let end = start + KEPT_FOR;
        assert!(answers.expire(end, 4));
        assert!(answers.expire(end, 4));
        assert!(!answers.expire(end, 4));
        assert_eq!(answers.by_key.len(), 1);
        assert!(!answers.expire(second + KEPT_FOR, 4));
        assert_eq!((answers.bytes, answers.by_key.len()), (0, 0));
        assert_eq!(answers.evictions.get(), 0);
    }

    #[test]
    fn the_oldest_make_room() {
        let (mut answers, start) = (answers(1000), Instant::now());
        let large = Bytes::from(vec![b'x'; 200]);
        for key in ["a", "b"] {
            answers.put(key.into(), large.clone(), start);
        }
        answers.get("a", start);
        answers.put("c".into(), large.clone(), start);
        assert_eq!(
            answers.get("a", start),
            None,
            "looking at it changed nothing"
        );
        assert!(answers.get("b", start).is_some() && answers.get("c", start).is_some());
        assert_eq!(answers.evictions.get(), 1);
        answers.put("huge".into(), Bytes::from(vec![b'x'; 1000]), start);
        assert_eq!(answers.get("huge", start), None);
        assert!(answers.get("b", start).is_some() && answers.get("c", start).is_some());
        assert_eq!(answers.evictions.get(), 2);
    }
}
