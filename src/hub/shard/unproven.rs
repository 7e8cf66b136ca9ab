//! What a connection was sent, and may not have received.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use rustc_hash::FxBuildHasher;
use smallvec::SmallVec;

use crate::hub::broadcast::Broadcast;
use crate::hub::mailbox::ChannelId;
use crate::protocol::{Frame, server};

/// Pings that may wait for their answer at a time: that of the heartbeat, that of a barrier, and that of
/// a client of which two claim to be the one.
const MOST_ASKED: usize = 3;

/// So many frames are worth a ping of their own.
const MANY: usize = 32;

/// What keeping a frame takes, beside the frame itself, which many share.
const OVERHEAD: usize = 64;

/// Frames of channels that were handed to a socket, in order, until the client has answered a ping that
/// was sent behind them: what the kernel has acknowledged may still have been lost with the client's
/// socket, or with a proxy.
#[derive(Debug, Default)]
pub(super) struct Unproven {
    /// The number of the next frame.
    end: u64,
    /// None while there is nothing to keep: an idle connection has a number.
    pending: Option<Box<Pending>>,
}

/// What has not been proven, and what may prove it.
#[derive(Debug, Default)]
struct Pending {
    /// The last of them has the number before [`Unproven::end`].
    frames: VecDeque<Kept>,
    bytes: usize,
    /// What there was no room to keep, by channel, the last of it before this number.
    dropped: HashMap<ChannelId, Lost, FxBuildHasher>,
    dropped_until: u64,
    /// For each ping under way, the number of the first frame behind it.
    asked: SmallVec<[u64; MOST_ASKED]>,
    /// [`Unproven::end`] when it was last looked at.
    seen: u64,
}

/// A frame of a channel.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) channel: ChannelId,
    pub(super) frame: Bytes,
    pub(super) what: What,
}

/// What a frame of a channel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// An event.
    Event,
    /// An announcement of the relay's own, which what a channel is confirmed with makes up for.
    Announcement,
    /// Who of the watched users is online, which nothing makes up for.
    Status,
    /// The news that events are lost.
    Gap(Lost),
}

impl What {
    pub(super) fn of(broadcast: &Broadcast) -> Self {
        if !broadcast.is_announcement() {
            Self::Event
        } else if server::is_watchlist_events(broadcast.frame.bytes()) {
            Self::Status
        } else {
            Self::Announcement
        }
    }
}

/// What of a channel cannot be sent again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    /// So many events.
    pub(super) events: u64,
    /// And others that nobody has counted.
    pub(super) uncounted: bool,
}

impl Lost {
    pub(super) fn is_nothing(self) -> bool {
        self == Self::default()
    }

    /// How many events, if that is known.
    pub(super) fn count(self) -> Option<u64> {
        (!self.uncounted).then_some(self.events)
    }

    pub(super) fn add(&mut self, other: Self) {
        self.events += other.events;
        self.uncounted |= other.uncounted;
    }
}

/// What a client may have missed of one channel, of what was handed to its socket.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// To be sent again.
    pub(super) frames: Vec<(Bytes, What)>,
    /// What cannot be.
    pub(super) lost: Lost,
}

impl Tail {
    fn push(&mut self, kept: Kept) {
        match kept.what {
            What::Gap(lost) => self.lost.add(lost),
            What::Event | What::Announcement | What::Status => {
                self.frames.push((kept.frame, kept.what))
            }
        }
    }

    /// What was to be sent at first of the users that are watched.
    pub(super) fn of_statuses<'f>(frames: impl Iterator<Item = &'f Frame>) -> Self {
        let frames = frames.map(|frame| (frame.bytes().clone(), What::Status));
        Self {
            frames: frames.collect(),
            ..Self::default()
        }
    }

    /// Gives up the frames.
    pub(super) fn lose(&mut self) {
        self.lost.events += self.events();
        let mut frames = self.frames.iter();
        self.lost.uncounted |= frames.any(|(_, what)| *what == What::Status);
        self.frames = Vec::new();
    }

    /// Events among the frames.
    pub(super) fn events(&self) -> u64 {
        let events = self.frames.iter().filter(|(_, what)| *what == What::Event);
        events.count() as u64
    }
}

impl Unproven {
    /// Whether all that was sent has been received.
    pub(super) fn is_empty(&self) -> bool {
        self.pending.as_ref().is_none_or(|it| it.is_proven())
    }

    /// Whether so much may not have been received that it should soon be known.
    pub(super) fn is_much(&self) -> bool {
        let is_much = |it: &Pending| it.frames.len() >= MANY || !it.dropped.is_empty();
        self.pending.as_deref().is_some_and(is_much)
    }

    /// Bytes that are kept.
    pub(super) fn bytes(&self) -> usize {
        self.pending.as_ref().map_or(0, |it| it.bytes)
    }

    /// Keeps a frame that is sent now. Where there is no room for it, all that is kept is given up: a
    /// channel is sent again in order, or not at all.
    pub(super) fn keep(&mut self, kept: Kept, max_bytes: usize) {
        let pending = self.pending.get_or_insert_default();
        pending.bytes += kept.frame.len() + OVERHEAD;
        pending.frames.push_back(kept);
        self.end += 1;
        if pending.bytes > max_bytes {
            pending.dropped_until = self.end;
            pending.give_up_frames();
        }
    }

    /// A ping is sent now. Returns what distinguishes its answer from others; None if too many are under way.
    pub(super) fn ask(&mut self) -> Option<u64> {
        let asked = &mut self.pending.get_or_insert_default().asked;
        (asked.len() < MOST_ASKED).then(|| {
            asked.push(self.end);
            self.end
        })
    }

    /// Whether a ping waits for its answer.
    pub(super) fn is_asking(&self) -> bool {
        self.pending.as_ref().is_some_and(|it| !it.asked.is_empty())
    }

    /// The client has answered the ping of this number, or the oldest.
    pub(super) fn answered(&mut self, number: Option<u64>) {
        let Some(pending) = &mut self.pending else {
            return;
        };
        let position = match number {
            None => (!pending.asked.is_empty()).then_some(0),
            Some(number) => pending.asked.iter().position(|asked| *asked == number),
        };
        let answered = position.and_then(|position| pending.asked.drain(..=position).next_back());
        if let Some(before) = answered {
            pending.received_before(before, self.end);
        }
        self.pending
            .take_if(|it| it.is_done() && it.frames.capacity() == 0);
    }

    /// Gives back what it took to keep frames, if nothing was kept since this was last called: what has just
    /// been proven is followed by more where events come all the time. Returns whether nothing is kept, and
    /// nothing given back later.
    pub(super) fn let_go(&mut self) -> bool {
        let Some(pending) = &mut self.pending else {
            return true;
        };
        let has_rested = std::mem::replace(&mut pending.seen, self.end) == self.end;
        self.pending.take_if(|it| has_rested && it.is_done());
        self.pending.is_none()
    }

    /// The socket is gone: what may have been missed, by channel. No ping is answered any more.
    pub(super) fn take(&mut self) -> HashMap<ChannelId, Tail, FxBuildHasher> {
        let mut tails: HashMap<ChannelId, Tail, FxBuildHasher> = HashMap::default();
        let Some(pending) = self.pending.take() else {
            return tails;
        };
        for kept in pending.frames {
            tails.entry(kept.channel).or_default().push(kept);
        }
        for (channel, lost) in pending.dropped {
            tails.entry(channel).or_default().lost.add(lost);
        }
        tails
    }
}

impl Pending {
    fn is_proven(&self) -> bool {
        self.frames.is_empty() && self.dropped.is_empty()
    }

    /// Whether all that was sent has been received, and nothing is asked.
    fn is_done(&self) -> bool {
        self.is_proven() && self.asked.is_empty()
    }

    /// Counts the frames instead.
    fn give_up_frames(&mut self) {
        self.bytes = 0;
        for kept in std::mem::take(&mut self.frames) {
            let lost = match kept.what {
                What::Event => Lost {
                    events: 1,
                    uncounted: false,
                },
                What::Status => Lost {
                    events: 0,
                    uncounted: true,
                },
                What::Announcement => continue,
                What::Gap(lost) => lost,
            };
            self.dropped.entry(kept.channel).or_default().add(lost);
        }
    }

    /// All frames before this number have been received; `end` is that of the next one.
    fn received_before(&mut self, number: u64, end: u64) {
        let first = end - self.frames.len() as u64;
        for _ in first..number {
            if let Some(kept) = self.frames.pop_front() {
                self.bytes -= kept.frame.len() + OVERHEAD;
            }
        }
        if self.dropped_until <= number {
            self.dropped = HashMap::default();
        }
        if self.frames.is_empty() && self.frames.capacity() > 2 * MANY {
            self.frames = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: usize = 1000;

    fn kept(channel: ChannelId, text: &'static str) -> Kept {
        Kept {
            channel,
            frame: Bytes::from_static(text.as_bytes()),
            what: What::Event,
        }
    }

    fn texts(tail: &Tail) -> Vec<&str> {
        let frames = tail.frames.iter();
        let texts = frames.map(|(frame, _)| std::str::from_utf8(frame).unwrap());
        texts.collect()
    }

    #[test]
    fn an_answer_proves_what_was_sent_before_its_ping() {
        let (a, b) = (ChannelId::next(), ChannelId::next());
        let mut unproven = Unproven::default();
        unproven.keep(kept(a, "a1"), ROOM);
        let first = unproven.ask();
        unproven.keep(kept(b, "b1"), ROOM);
        unproven.keep(kept(a, "a2"), ROOM);
        assert!(unproven.is_asking());
        unproven.answered(first);
        assert!(!unproven.is_asking() && !unproven.is_empty());
        let tails = unproven.take();
        assert_eq!(texts(&tails[&a]), ["a2"]);
        assert_eq!(texts(&tails[&b]), ["b1"]);
        assert!(unproven.is_empty());
    }

    #[test]
    fn what_is_proven_takes_no_memory() {
        let mut unproven = Unproven::default();
        unproven.keep(kept(ChannelId::next(), "a1"), ROOM);
        assert_eq!(unproven.bytes(), OVERHEAD + 2);
        let asked = [unproven.ask(), unproven.ask()];
        unproven.answered(asked[0]);
        assert!(unproven.is_empty() && unproven.pending.is_some());
        unproven.answered(asked[1]);
        assert!(unproven.is_empty() && unproven.bytes() == 0);
        assert!(!unproven.let_go());
        assert!(unproven.let_go() && unproven.pending.is_none());
        // Numbers go on.
        assert_eq!(unproven.ask(), asked[1]);
        unproven.answered(None);
        assert!(unproven.pending.is_none());
    }

    #[test]
    fn memory_is_kept_for_as_long_as_events_come() {
        let a = ChannelId::next();
        let mut unproven = Unproven::default();
        for _ in 0..3 {
            unproven.keep(kept(a, "a1"), ROOM);
            assert!(!unproven.let_go());
            unproven.ask();
            unproven.answered(None);
        }
        assert!(unproven.is_empty() && unproven.let_go());
        unproven.keep(kept(a, "a2"), ROOM);
        assert!(!unproven.let_go() && !unproven.let_go());
    }

    #[test]
    fn answers_that_nobody_asked_for_prove_nothing() {
        let a = ChannelId::next();
        let mut unproven = Unproven::default();
        unproven.keep(kept(a, "a1"), ROOM);
        unproven.answered(None);
        unproven.answered(Some(1));
        assert_eq!(texts(&unproven.take()[&a]), ["a1"]);
        // Nor does the answer to a ping of another socket.
        unproven.keep(kept(a, "a2"), ROOM);
        let asked = unproven.ask();
        assert_eq!(texts(&unproven.take()[&a]), ["a2"]);
        unproven.keep(kept(a, "a3"), ROOM);
        unproven.answered(asked);
        unproven.answered(None);
        assert_eq!(texts(&unproven.take()[&a]), ["a3"]);
    }

    #[test]
    fn pings_are_answered_in_order_and_no_more_are_under_way_than_there_may_be() {
        let a = ChannelId::next();
        let mut unproven = Unproven::default();
        for text in ["a1", "a2", "a3"] {
            unproven.keep(kept(a, text), ROOM);
            assert!(unproven.ask().is_some());
        }
        assert_eq!(unproven.ask(), None);
        unproven.answered(None);
        unproven.answered(None);
        assert_eq!(texts(&unproven.take()[&a]), ["a3"]);
    }

    #[test]
    fn the_news_of_a_loss_is_news_until_it_is_proven() {
        let a = ChannelId::next();
        let mut unproven = Unproven::default();
        let lost = Lost {
            events: 7,
            uncounted: false,
        };
        let gap = || Kept {
            what: What::Gap(lost),
            ..kept(a, "gap")
        };
        let before = unproven.ask();
        unproven.keep(gap(), ROOM);
        unproven.answered(before);
        unproven.keep(kept(a, "a1"), ROOM);
        let tail = unproven.take().remove(&a).unwrap();
        assert_eq!((tail.lost, texts(&tail)), (lost, vec!["a1"]));
        unproven.keep(gap(), ROOM);
        let behind = unproven.ask();
        unproven.answered(behind);
        assert!(unproven.is_empty() && unproven.take().is_empty());
    }

    #[test]
    fn what_there_is_no_room_for_is_counted_until_it_is_proven() {
        let (a, b) = (ChannelId::next(), ChannelId::next());
        let little = 3 * (OVERHEAD + 2);
        let mut unproven = Unproven::default();
        for text in ["a1", "a2", "a3"] {
            unproven.keep(kept(a, text), little);
        }
        unproven.keep(kept(b, "b1"), little);
        unproven.keep(kept(b, "b2"), little);
        let asked = unproven.ask();
        let mut proven = Unproven::default();
        std::mem::swap(&mut proven, &mut unproven);
        let tails = {
            let mut copy = proven;
            let tails = copy.take();
            assert_eq!((tails[&a].lost.events, tails[&b].lost.events), (3, 1));
            assert_eq!(texts(&tails[&b]), ["b2"]);
            tails
        };
        assert!(texts(&tails[&a]).is_empty());
        for text in ["a1", "a2", "a3", "a4"] {
            unproven.keep(kept(a, text), little);
        }
        assert_eq!(asked, Some(5));
        assert!(!unproven.is_empty());
        unproven.ask();
        unproven.answered(None);
        assert!(unproven.is_empty());
    }
}
