//! Sessions that have ended while their clients were away.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

use super::name::Name;
use crate::protocol::ChannelName;

/// How long it is known that a session was there.
const KNOWN_FOR: Duration = Duration::from_secs(3600);
/// Sessions that are known at most.
const MOST: usize = 50_000;
/// Their channels at most, in all.
const MOST_CHANNELS: usize = 250_000;

/// Which channels the clients of sessions that are over were on, so that they can be notified that they have
/// missed something.
#[derive(Debug, Default)]
pub(super) struct Expired {
    by_name: HashMap<Name, Record, RandomState>,
    /// The names, the oldest first.
    order: BTreeMap<u64, Name>,
    next: u64,
    channels: usize,
}

#[derive(Debug)]
struct Record {
    channels: Vec<ChannelName>,
    since: Instant,
    place: u64,
}

impl Expired {
    pub(super) fn insert(&mut self, name: Name, channels: Vec<ChannelName>, now: Instant) {
        self.remove(&name);
        self.channels += channels.len();
        let place = self.next;
        self.next += 1;
        self.order.insert(place, name);
        let record = Record {
            channels,
            since: now,
            place,
        };
        self.by_name.insert(name, record);
        while let Some((_, oldest)) = self.order.first_key_value() {
            let is_old = |record: &Record| now >= record.since + KNOWN_FOR;
            let is_full = self.by_name.len() > MOST || self.channels > MOST_CHANNELS;
            if !is_full && !self.by_name.get(oldest).is_some_and(is_old) {
                break;
            }
            let oldest = *oldest;
            self.remove(&oldest);
        }
    }

    /// The channels of the session of this name, which is no longer known then.
    pub(super) fn take(&mut self, name: &Name, now: Instant) -> Vec<ChannelName> {
        let record = self.remove(name);
        let known = record.filter(|record| now < record.since + KNOWN_FOR);
        known.map(|record| record.channels).unwrap_or_default()
    }

    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    fn remove(&mut self, name: &Name) -> Option<Record> {
        let record = self.by_name.remove(name)?;
        self.order.remove(&record.place);
        self.channels -= record.channels.len();
        Some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(token: &str) -> Name {
        Name::of("app", token)
    }

    fn channels(count: usize) -> Vec<ChannelName> {
        let name = |number| ChannelName::parse(&format!("news-{number}"), 164).unwrap();
        (0..count).map(name).collect()
    }

    #[test]
    fn a_session_is_known_once_and_for_a_while() {
        let (mut expired, now) = (Expired::default(), Instant::now());
        expired.insert(name("a"), channels(2), now);
        assert_eq!(expired.take(&name("b"), now), []);
        assert_eq!(expired.take(&name("a"), now), channels(2));
        assert_eq!(expired.take(&name("a"), now), []);
        expired.insert(name("a"), channels(1), now);
        assert_eq!(expired.take(&name("a"), now + KNOWN_FOR), []);
        assert_eq!((expired.channels, expired.order.len()), (0, 0));
    }

    #[test]
    fn the_oldest_go_first() {
        let (mut expired, now) = (Expired::default(), Instant::now());
        expired.insert(name("old"), channels(1), now);
        expired.insert(name("large"), channels(MOST_CHANNELS), now);
        assert_eq!(expired.take(&name("old"), now), []);
        for number in 0..MOST {
            expired.insert(name(&number.to_string()), channels(1), now);
        }
        assert_eq!(expired.take(&name("large"), now), []);
        assert_eq!(expired.by_name.len(), MOST);
        expired.insert(name("last"), channels(1), now + KNOWN_FOR);
        assert_eq!(expired.by_name.len(), 1);
        assert_eq!((expired.order.len(), expired.channels), (1, 1));
    }
}
