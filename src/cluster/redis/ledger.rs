//! How much of channels' logs this node has written that Redis still keeps, and where the oldest of it is.
//!
//! No more is known of a channel than that something was written to it in a while: what a publish adds is
//! a few additions.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::keys::Topic;

/// What an entry takes beside its body, about.
const ENTRY: usize = 48;
/// In how many pieces the time is cut that entries are kept, and the bytes that may be.
const PIECES: u32 = 16;

/// What was written within one while.
#[derive(Debug)]
struct Page {
    number: u64,
    since: Instant,
    until: Instant,
    bytes: usize,
    topics: Vec<Topic>,
}

/// What was written, by when, the oldest first.
#[derive(Debug)]
pub(super) struct Ledger {
    /// How long entries are kept.
    history: Duration,
    /// Bytes after which a page is full.
    most_of_page: usize,
    pages: VecDeque<Page>,
    bytes: usize,
    last_number: u64,
}

/// What the oldest pages have.
#[derive(Debug)]
pub(super) struct Oldest {
    /// The logs that were written to; one may be there more than once.
    pub(super) topics: Vec<Topic>,
    /// When the last of it was written.
    pub(super) until: Instant,
}

impl Ledger {
    /// Nothing is written yet; entries are kept for so long, and `most` bytes of them.
    pub(super) fn new(history: Duration, most: usize) -> Self {
        Self {
            history,
            most_of_page: most / PIECES as usize,
            pages: VecDeque::new(),
            bytes: 0,
            last_number: 0,
        }
    }

    /// An entry with a body of so many bytes was written. `page` is where it was last noted that the log was
    /// written to, and is kept with the channel; 0 at first.
    pub(super) fn wrote(&mut self, topic: &Topic, page: &mut u64, bytes: usize, now: Instant) {
        let is_open = self.pages.back().is_some_and(|last| {
            last.bytes < self.most_of_page && now - last.since < self.history / PIECES
        });
        if !is_open {
            self.last_number += 1;
            self.pages.push_back(Page {
                number: self.last_number,
                since: now,
                until: now,
                bytes: 0,
                topics: Vec::new(),
            });
        }
        if let Some(last) = self.pages.back_mut() {
            last.until = now;
            last.bytes += bytes + ENTRY;
            self.bytes += bytes + ENTRY;
            if std::mem::replace(page, last.number) != last.number {
                last.topics.push(topic.clone());
            }
        }
    }

    /// So many bytes have left the logs before their time.
    pub(super) fn freed(&mut self, mut bytes: usize) {
        for page in &mut self.pages {
            let of_page = bytes.min(page.bytes);
            page.bytes -= of_page;
            self.bytes -= of_page;
            bytes -= of_page;
            if bytes == 0 {
                return;
            }
        }
    }

    /// What is kept of all that was written.
    pub(super) fn bytes(&mut self, now: Instant) -> usize {
        while let Some(first) = self.pages.front()
            && now - first.until > self.history
        {
            self.bytes -= first.bytes;
            self.pages.pop_front();
        }
        self.bytes
    }

    /// Forgets the oldest until no more than `keep` bytes are left, and returns what it was.
    pub(super) fn take_oldest(&mut self, keep: usize) -> Option<Oldest> {
        let mut oldest: Option<Oldest> = None;
        while self.bytes > keep
            && let Some(page) = self.pages.pop_front()
        {
            self.bytes -= page.bytes;
            match &mut oldest {
                Some(oldest) => {
                    oldest.topics.extend(page.topics);
                    oldest.until = page.until;
                }
                None => {
                    oldest = Some(Oldest {
                        topics: page.topics,
                        until: page.until,
                    });
                }
            }
        }
        oldest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HISTORY: Duration = Duration::from_secs(32);

    fn write(ledger: &mut Ledger, topic: &str, page: &mut u64, now: Instant) {
        ledger.wrote(&topic.into(), page, 1000 - ENTRY, now);
    }

    #[test]
    fn what_is_older_than_entries_are_kept_does_not_count() {
        let mut ledger = Ledger::new(HISTORY, 1 << 20);
        let start = Instant::now();
        let mut page = 0;
        for second in 0..10 {
            let now = start + Duration::from_secs(second * 4);
            write(&mut ledger, "a", &mut page, now);
        }
        assert_eq!(ledger.bytes(start + HISTORY), 10_000);
        assert_eq!(ledger.bytes(start + HISTORY + Duration::from_secs(5)), 8000);
        ledger.freed(7500);
        assert_eq!(ledger.bytes(start + HISTORY + Duration::from_secs(5)), 500);
    }

    #[test]
    fn oldest_is_taken_until_the_rest_is_small_enough() {
        let mut ledger = Ledger::new(HISTORY, 1 << 20);
        let start = Instant::now();
        let (mut of_a, mut of_b) = (0, 0);
        for second in [0, 1, 3, 6] {
            let now = start + Duration::from_secs(second);
            write(&mut ledger, "a", &mut of_a, now);
        }
        write(&mut ledger, "b", &mut of_b, start + Duration::from_secs(6));
        assert!(ledger.take_oldest(5000).is_none());
        let oldest = ledger.take_oldest(2000).unwrap();
        // A page of two seconds at 0, one at 3.
        let topics: Vec<_> = oldest.topics.iter().map(|topic| &**topic).collect();
        assert_eq!(topics, ["a", "a"]);
        assert_eq!(oldest.until, start + Duration::from_secs(3));
        assert_eq!(ledger.bytes(start + Duration::from_secs(7)), 2000);
        let oldest = ledger.take_oldest(0).unwrap();
        let topics: Vec<_> = oldest.topics.iter().map(|topic| &**topic).collect();
        assert_eq!(topics, ["a", "b"]);
        assert!(ledger.take_oldest(0).is_none());
    }

    #[test]
    fn page_that_is_full_is_followed_by_another() {
        let mut ledger = Ledger::new(HISTORY, 16_000);
        let now = Instant::now();
        let mut page = 0;
        for _ in 0..10 {
            write(&mut ledger, "a", &mut page, now);
        }
        ledger.take_oldest(9500);
        assert_eq!(ledger.bytes(now), 9000);
    }
}
