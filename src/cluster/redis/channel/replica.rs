//! What a channel is for the cluster, as far as this node knows: a copy of what its log has, up to a
//! place in the log.

use std::time::{Duration, Instant};

use smallvec::SmallVec;

use crate::cluster::redis::entry::{EntryId, Message, NodeId, Place};

/// Whether the copy is up to date.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sync {
    /// It is not, and nobody is admitted.
    #[default]
    Unknown,
    /// But for entries that are known to be missing, and are still to be asked for.
    Behind,
    /// As far as is known.
    UpToDate,
}

#[derive(Debug, Default)]
pub(super) struct Replica {
    pub(super) sync: Sync,
    /// The last entry of the log that the node knows.
    pub(super) place: Option<Place>,
    /// The last place that was known, while none is.
    pub(super) former: Option<Place>,
    /// Where the node was in the log that was there before, while the one that was begun anew is read.
    pub(super) beyond: Option<EntryId>,
    /// Where the node was in logs that were there before, the last one last: what others have written behind that
    /// it has not read.
    unread: Vec<Place>,
    /// Since when the topic was not listened to all the time.
    pub(super) interrupted_at: Option<Instant>,
    /// Whether the others took the node for dead since: where but one of them is left, and it is away for
    /// longer than entries are kept, nothing shows what it has missed.
    pub(super) was_given_up: bool,
    /// Whether a message of another log came while this one was not known.
    pub(super) follows_another_log: bool,
    /// The highest offset that came while the place was not known.
    pub(super) pushed: u64,
    last_numbers: SmallVec<[(NodeId, u64); 4]>,
    /// Subscribers in all, who are not notified yet.
    pub(super) total: Option<usize>,
    /// When whoever was not announced since the log was begun anew is gone.
    pub(super) reconcile_at: Option<Instant>,
    /// Whether what the channel is for the cluster is to be asked for as a whole.
    pub(super) must_reconcile: bool,
}

impl Replica {
    pub(super) fn is_known(&self) -> bool {
        self.sync != Sync::Unknown
    }

    /// It is not known to be up to date any more.
    pub(super) fn lapse(&mut self) {
        self.sync = Sync::Unknown;
    }

    /// Entries are missing. (What is not known is read in any case.)
    pub(super) fn note_missing(&mut self) {
        if self.is_known() {
            self.sync = Sync::Behind;
        }
    }

    /// What is missing is asked for.
    pub(super) fn begin_reading(&mut self) -> bool {
        if self.sync == Sync::Behind {
            self.sync = Sync::UpToDate;
        }
        std::mem::take(&mut self.must_reconcile)
    }

    /// Whether anything is to be read.
    pub(super) fn must_read(&self) -> bool {
        self.must_reconcile || self.sync != Sync::UpToDate
    }

    /// The place is not known any more, but what it was shows an older state of the log.
    pub(super) fn forget_place(&mut self) {
        if let Some(place) = self.place.take() {
            self.former = Some(place);
        }
        // For whom it was missing has left.
        self.unread.clear();
        self.lapse();
    }

    pub(super) fn note_interruption(&mut self, now: Instant) {
        if self.place.is_some() && self.interrupted_at.is_none() {
            self.interrupted_at = Some(now);
        }
    }

    /// The others announce that all that the node had has gone.
    pub(super) fn on_given_up(&mut self, is_wanted: bool) {
        self.was_given_up = true;
        // Who leaves in between is announced by nobody: the others have done so before.
        self.must_reconcile = is_wanted;
        self.lapse();
    }

    /// The offset of the last entry that is known.
    pub(super) fn offset(&self) -> u64 {
        self.place.as_ref().map_or(0, |place| place.id.offset)
    }

    /// The entry that follows on the last known one is known too.
    pub(super) fn go_on_to(&mut self, id: EntryId) {
        if let Some(place) = &mut self.place {
            place.id = id;
        }
    }

    /// Goes on from the beginning of a log that was begun anew, of which this is the first offset that is
    /// left. Until then whoever is not announced is not gone.
    pub(super) fn begin_anew(&mut self, epoch: &str, first: u64, reconcile_at: Instant) {
        let was = self.place.as_ref().map(|place| place.id);
        self.beyond = self.beyond.max(was);
        self.former = self.place.replace(Place {
            epoch: epoch.into(),
            id: EntryId {
                ms: 0,
                offset: first.saturating_sub(1),
            },
        });
        self.reconcile_at = Some(reconcile_at);
        if let Some(former) = &self.former {
            self.note_unread(former.clone());
        }
    }

    fn note_unread(&mut self, place: Place) {
        const MOST: usize = 4;
        if self.unread.len() == MOST {
            self.unread.remove(0);
        }
        self.unread.push(place);
    }

    /// An entry of the log is read, which has gone on under its epoch behind `begun_after`: up to there it may be the
    /// one that was there before.
    pub(super) fn go_on_reading(&mut self, id: EntryId, begun_after: u64) {
        let before = self.place.as_ref().map(|place| place.id);
        if let Some(unread) = self.unread.last_mut()
            && id.offset <= begun_after
            && before == Some(unread.id)
        {
            unread.id = id;
        }
        self.go_on_to(id);
    }

    /// How many entries were written, at least, behind where the node was in logs that were there before. `ends`: the
    /// last entries that those have who wrote them. They are not returned twice.
    pub(super) fn take_unread(&mut self, ends: &[Place]) -> u64 {
        let present = self.place.as_ref().map(|place| place.epoch.clone());
        let mut lost = 0;
        for end in ends
            .iter()
            .filter(|end| Some(&end.epoch) != present.as_ref())
        {
            let mut unread = self.unread.iter_mut();
            if let Some(unread) = unread.find(|unread| unread.epoch == end.epoch) {
                lost += end.id.offset.saturating_sub(unread.id.offset);
                unread.id.offset = unread.id.offset.max(end.id.offset);
                continue;
            }
            // Begun and forgotten while the node was away, if that is later than what it has of any other.
            let known = self.unread.iter().map(|unread| unread.id.ms).max();
            if known.is_some_and(|known| known > 0 && end.id.ms > known) {
                lost += 1;
                self.note_unread(end.clone());
            }
        }
        lost
    }

    /// Whether an entry of a log that goes on from an older state of itself is one that this node was
    /// beyond: it was delivered, or is from before its subscribers came.
    pub(super) fn is_from_before(&self, id: EntryId) -> bool {
        self.beyond.is_some_and(|beyond| id <= beyond)
    }

    /// Whether a message is of the log that was there before the present one, and not known.
    pub(super) fn follows_on_former(&mut self, message: &Message) -> bool {
        let Some(former) = &mut self.former else {
            return false;
        };
        if former.epoch.as_bytes() != message.epoch || message.id.offset <= former.id.offset {
            return false;
        }
        former.id = message.id;
        let mut unread = self.unread.iter_mut();
        if let Some(unread) = unread.find(|unread| unread.epoch == former.epoch) {
            unread.id = message.id;
        }
        true
    }

    /// Whether the number is above all that the node has had from the same origin.
    pub(super) fn note_number(&mut self, origin: NodeId, number: u64) -> bool {
        const MOST: usize = 64;
        match self
            .last_numbers
            .iter_mut()
            .find(|(node, _)| *node == origin)
        {
            Some((_, last)) if *last >= number => false,
            Some((_, last)) => {
                *last = number;
                true
            }
            None => {
                if self.last_numbers.len() == MOST {
                    self.last_numbers.remove(0);
                }
                self.last_numbers.push((origin, number));
                true
            }
        }
    }

    /// The other nodes have had time to announce who is there since the log was begun anew: whoever is
    /// not is gone.
    pub(super) fn reconcile(&mut self, now: Instant) {
        if self.reconcile_at.is_some_and(|at| at <= now) {
            self.reconcile_at = None;
            self.must_reconcile = true;
        }
    }

    /// How long ago the topic was last listened to, if it was not all the time.
    pub(super) fn away_for(&self, now: Instant) -> Option<Duration> {
        let since = self.interrupted_at?;
        Some(now.saturating_duration_since(since))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn place(epoch: &str, ms: u64, offset: u64) -> Place {
        Place {
            epoch: epoch.into(),
            id: EntryId { ms, offset },
        }
    }

    /// A node that had the log `a` up to the entry 5 at 500, and goes on in the log `b`.
    fn begun_anew() -> Replica {
        let mut replica = Replica {
            place: Some(place("a", 500, 5)),
            ..Replica::default()
        };
        replica.begin_anew("b", 1, Instant::now());
        replica
    }

    #[test]
    fn what_was_written_behind_the_last_known_entry_is_found_once() {
        let mut replica = begun_anew();
        let ends = [place("a", 600, 9)];
        assert_eq!(replica.take_unread(&ends), 4);
        assert_eq!(replica.take_unread(&ends), 0);
        assert_eq!(replica.take_unread(&[place("a", 700, 10)]), 1);
    }

    #[test]
    fn what_was_read_is_not_taken_for_unread() {
        let ends = [place("a", 500, 5), place("b", 900, 3)];
        assert_eq!(begun_anew().take_unread(&ends), 0);
    }

    #[test]
    fn a_log_that_came_and_went_meanwhile_is_found_once() {
        let mut replica = begun_anew();
        // Of one from before the node came nothing is missing.
        let ends = [place("before", 400, 9), place("between", 700, 9)];
        assert_eq!(replica.take_unread(&ends), 1);
        assert_eq!(replica.take_unread(&ends), 0);
    }

    #[test]
    fn what_is_read_under_another_epoch_is_not_unread() {
        let mut replica = begun_anew();
        replica.begin_anew("b", 5, Instant::now());
        replica.unread = vec![place("a", 500, 5)];
        for (ms, offset) in [(500, 5), (510, 6), (520, 7), (530, 8)] {
            replica.go_on_reading(EntryId { ms, offset }, 7);
        }
        assert_eq!(replica.take_unread(&[place("a", 600, 9)]), 2);
    }

    #[test]
    fn what_comes_late_of_a_log_is_not_unread() {
        let mut replica = begun_anew();
        let message = Message {
            epoch: "a".into(),
            id: place("a", 600, 8).id,
            body: Bytes::new(),
        };
        assert!(replica.follows_on_former(&message));
        assert_eq!(replica.take_unread(&[place("a", 600, 9)]), 1);
    }
}
