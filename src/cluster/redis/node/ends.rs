//! Where the last entries stand that this node has written to logs. Nobody else may know of them once Redis has
//! forgotten them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use crate::cluster::redis::entry::Place;
use crate::cluster::redis::keys::Topic;

/// Logs of one topic that are known, one after the other.
const MOST: usize = 4;

/// The last entry that was written to a log, and when.
#[derive(Debug)]
struct End {
    place: Place,
    at: Instant,
}

/// The last entries of this node that are not written again.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// Of a topic's logs the last one last.
    by_topic: HashMap<Topic, SmallVec<[End; 1]>>,
    /// Whether Redis has forgotten something, and was not given them since.
    pub(super) must_be_handed_in: bool,
    /// When it was last looked for those that are too old.
    looked_at: Option<Instant>,
}

impl Ends {
    /// An entry was written that is not written again.
    pub(super) fn note(&mut self, topic: &Topic, place: Place, at: Instant) {
        let Some(ends) = self.by_topic.get_mut(topic) else {
            let end = End { place, at };
            self.by_topic.insert(Topic::clone(topic), [end].into());
            return;
        };
        let mut known = ends.iter_mut();
        if let Some(end) = known.find(|end| end.place.epoch == place.epoch) {
            if end.place.id.offset < place.id.offset {
                *end = End { place, at };
            }
            return;
        }
        if ends.len() == MOST {
            ends.remove(0);
        }
        ends.push(End { place, at });
    }

    /// Redis was given them, or need not be: those are forgotten that logs do not keep for so long.
    pub(super) fn forget_old(&mut self, history: Duration, now: Instant) {
        let is_time = |at: Instant| now.saturating_duration_since(at) >= history / 4;
        if !self.looked_at.is_none_or(is_time) {
            return;
        }
        self.looked_at = Some(now);
        self.by_topic.retain(|_, ends| {
            ends.retain(|end| now.saturating_duration_since(end.at) <= history);
            !ends.is_empty()
        });
    }

    /// All of them, by topic.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Topic, impl Iterator<Item = &Place>)> {
        let by_topic = self.by_topic.iter();
        by_topic.map(|(topic, ends)| (topic, ends.iter().map(|end| &end.place)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::redis::entry::EntryId;

    fn place(epoch: &str, offset: u64) -> Place {
        Place {
            epoch: epoch.into(),
            id: EntryId { ms: 1, offset },
        }
    }

    #[test]
    fn the_last_entry_of_each_log_is_known_for_as_long_as_logs_keep_it() {
        let (mut ends, start) = (Ends::default(), Instant::now());
        let topic: Topic = "t".into();
        let second = Duration::from_secs(1);
        ends.note(&topic, place("a", 7), start);
        ends.note(&topic, place("a", 6), start + 9 * second);
        ends.note(&topic, place("b", 1), start + 10 * second);
        ends.note(&topic, place("b", 2), start + 11 * second);
        let known = |ends: &Ends| -> Vec<Place> {
            ends.all()
                .flat_map(|(_, places)| places.cloned().collect::<Vec<_>>())
                .collect()
        };
        assert_eq!(known(&ends), [place("a", 7), place("b", 2)]);
        ends.forget_old(20 * second, start + 21 * second);
        assert_eq!(known(&ends), [place("b", 2)]);
        ends.forget_old(20 * second, start + 40 * second);
        assert_eq!(known(&ends), []);
    }

    #[test]
    fn of_many_logs_the_last_ones_are_known() {
        let (mut ends, now) = (Ends::default(), Instant::now());
        let topic: Topic = "t".into();
        for epoch in 0..=MOST {
            ends.note(&topic, place(&epoch.to_string(), 1), now);
        }
        let (_, mut places) = ends.all().next().unwrap();
        assert_eq!(places.next(), Some(&place("1", 1)));
        assert_eq!(places.count(), MOST - 1);
    }
}
