//! What goes to a webhook next: each channel in order, no channel behind another.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Instant;

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use super::event::Event;
use crate::protocol::ChannelName;

/// How requests are put together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    /// Events in one request at most.
    pub(super) most_events: usize,
    /// Bytes of their JSON at most, but for a single larger one.
    pub(super) most_bytes: usize,
}

/// The events that wait for one webhook.
///
/// Each channel has a lane. While events of a lane are in a batch, on their way or waiting for
/// their next attempt, what is behind them in the lane waits: so a channel's events arrive in
/// order, and a failing channel holds up no other.
#[derive(Debug)]
pub(super) struct Lanes {
    cut: Cut,
    lanes: HashMap<ChannelName, Lane, RandomState>,
    /// Lanes with events of which none is in a batch.
    ready: VecDeque<ChannelName>,
    /// Batches that failed, by when they are tried again.
    failed: BTreeMap<(Instant, u64), Batch>,
    failed_so_far: u64,
    /// Whether a batch that failed before comes before new ones, if both are due.
    failed_first: bool,
}

#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<Event>,
    in_batch: bool,
}

/// Events that go in one request.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// In the order in which they happened; at least one.
    pub(super) events: Vec<Event>,
    /// How often it has been tried.
    pub(super) attempts: u32,
    /// Whether the webhook answered when it was tried last.
    answered: bool,
    channels: SmallVec<[ChannelName; 1]>,
}

/// What a failure means for a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Verdict {
    /// When it is due again.
    pub(super) retry_at: Instant,
    /// What happened before is given up.
    pub(super) too_old: Option<Instant>,
    /// Whether the webhook answered, so that the fault may be in what it was sent. From its
    /// second failure on, such a batch is sent in halves: whatever it is that the webhook does
    /// not like soon stands alone, and keeps nothing else from being taken.
    pub(super) answered: bool,
}

impl Lane {
    fn take_older(&mut self, too_old: Instant, older: &mut Vec<Event>) {
        let is_old = |event: &Event| event.at.instant <= too_old;
        while self.waiting.front().is_some_and(is_old) {
            older.extend(self.waiting.pop_front());
        }
    }
}

impl Batch {
    /// Takes out half of the channels with their events; None if there is only one.
    fn split_off_half(&mut self) -> Option<Self> {
        if self.channels.len() < 2 {
            return None;
        }
        let half = self.channels.len() / 2;
        let channels: SmallVec<[ChannelName; 1]> = self.channels.drain(half..).collect();
        let is_theirs = |event: &mut Event| channels.contains(&event.channel);
        let events: Vec<Event> = self.events.extract_if(.., is_theirs).collect();
        let other = Self {
            events,
            attempts: self.attempts,
            answered: self.answered,
            channels,
        };
        Some(other)
    }
}

impl Lanes {
    pub(super) fn new(cut: Cut) -> Self {
        Self {
            cut,
            lanes: HashMap::default(),
            ready: VecDeque::new(),
            failed: BTreeMap::new(),
            failed_so_far: 0,
            failed_first: false,
        }
    }

    /// One more event.
    pub(super) fn push(&mut self, event: Event) {
        let lane = self.lanes.entry(event.channel.clone()).or_default();
        if !lane.in_batch && lane.waiting.is_empty() {
            self.ready.push_back(event.channel.clone());
        }
        lane.waiting.push_back(event);
    }

    /// The next batch that is due, if any. It must be given back by [`Lanes::done`] or
    /// [`Lanes::failed`].
    pub(super) fn take(&mut self, now: Instant) -> Option<Batch> {
        let batch = if self.failed_first {
            self.take_failed(now).or_else(|| self.take_ready())
        } else {
            self.take_ready().or_else(|| self.take_failed(now))
        };
        // In turn: neither starves while the webhook takes less than there is.
        self.failed_first = batch.as_ref().is_some_and(|batch| batch.attempts == 0);
        batch
    }

    fn take_failed(&mut self, now: Instant) -> Option<Batch> {
        let first = self
            .failed
            .first_entry()
            .filter(|first| first.key().0 <= now)?;
        Some(first.remove())
    }

    fn take_ready(&mut self) -> Option<Batch> {
        if self.ready.is_empty() {
            return None;
        }
        let mut batch = Batch::default();
        let mut bytes = 0;
        while let Some(channel) = self.ready.pop_front() {
            let lane = self.lanes.get_mut(&channel);
            let lane = lane.expect("a channel is ready while it has a lane");
            let before = batch.events.len();
            while batch.events.len() < self.cut.most_events
                && let Some(event) = lane.waiting.front()
                && (batch.events.is_empty() || bytes + event.json.len() <= self.cut.most_bytes)
            {
                bytes += event.json.len();
                batch.events.extend(lane.waiting.pop_front());
            }
            if batch.events.len() == before {
                self.ready.push_front(channel);
                break;
            }
            lane.in_batch = true;
            batch.channels.push(channel);
        }
        batch.events.sort_unstable_by_key(|event| event.number);
        Some(batch)
    }

    /// When [`Lanes::take`] has something next, `now` at the earliest; None while nothing waits.
    pub(super) fn next_due(&self, now: Instant) -> Option<Instant> {
        if !self.ready.is_empty() {
            return Some(now);
        }
        let first = self.failed.first_key_value();
        first.map(|((due, _), _)| now.max(*due))
    }

    /// The batch was taken, or given up: what is behind it may go.
    pub(super) fn done(&mut self, batch: Batch) {
        for channel in batch.channels {
            let Some(lane) = self.lanes.get_mut(&channel) else {
                continue;
            };
            if lane.waiting.is_empty() {
                self.lanes.remove(&channel);
            } else {
                lane.in_batch = false;
                self.ready.push_back(channel);
            }
        }
    }

    /// The batch was not taken. Returns the events that are given up, in it and behind it.
    pub(super) fn failed(&mut self, mut batch: Batch, verdict: Verdict) -> Vec<Event> {
        let given_up = match verdict.too_old {
            Some(too_old) => self.take_older(&mut batch, too_old),
            None => Vec::new(),
        };
        if batch.events.is_empty() {
            self.done(batch);
            return given_up;
        }
        let other = match verdict.answered && batch.attempts > 0 {
            true => batch.split_off_half(),
            false => None,
        };
        for mut part in [Some(batch), other].into_iter().flatten() {
            part.attempts += 1;
            part.answered = verdict.answered;
            self.failed_so_far += 1;
            self.failed
                .insert((verdict.retry_at, self.failed_so_far), part);
        }
        given_up
    }

    /// Gives up whatever happened before `too_old` and is not on its way.
    pub(super) fn give_up_older(&mut self, too_old: Instant) -> Vec<Event> {
        let mut given_up = Vec::new();
        for (key, mut batch) in std::mem::take(&mut self.failed) {
            given_up.extend(self.take_older(&mut batch, too_old));
            match batch.events.is_empty() {
                true => self.done(batch),
                false => drop(self.failed.insert(key, batch)),
            }
        }
        let Self { lanes, ready, .. } = self;
        ready.retain(|channel| {
            let lane = lanes.get_mut(channel);
            let lane = lane.expect("a channel is ready while it has a lane");
            lane.take_older(too_old, &mut given_up);
            let is_empty = lane.waiting.is_empty();
            if is_empty {
                lanes.remove(channel);
            }
            !is_empty
        });
        given_up
    }

    fn take_older(&mut self, batch: &mut Batch, too_old: Instant) -> Vec<Event> {
        let is_old = |event: &Event| event.at.instant <= too_old;
        let mut older: Vec<Event> = batch.events.extract_if(.., |event| is_old(event)).collect();
        for channel in &batch.channels {
            if let Some(lane) = self.lanes.get_mut(channel) {
                lane.take_older(too_old, &mut older);
            }
        }
        older
    }

    /// There is little time left: what failed is due now.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.make_due(now, |_| true);
    }

    /// The webhook is there again: what it did not answer is due now.
    pub(super) fn retry_unanswered(&mut self, now: Instant) {
        self.make_due(now, |batch| !batch.answered);
    }

    fn make_due(&mut self, now: Instant, is_meant: impl Fn(&Batch) -> bool) {
        let failed = std::mem::take(&mut self.failed);
        for ((due, number), batch) in failed {
            let due = if is_meant(&batch) { now } else { due };
            self.failed.insert((due, number), batch);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::event::Moment;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn lanes(most_events: usize) -> Lanes {
        Lanes::new(Cut {
            most_events,
            most_bytes: 1000,
        })
    }

    fn event(number: u64, channel: &str, at: Instant) -> Event {
        Event {
            number,
            id: number.to_string().into(),
            channel: ChannelName::parse(channel, 164).unwrap(),
            json: vec![b'x'; 100].into(),
            at: Moment {
                instant: at,
                ..Moment::now()
            },
        }
    }

    fn numbers(batch: &Batch) -> Vec<u64> {
        batch.events.iter().map(|event| event.number).collect()
    }

    fn again_at(retry_at: Instant) -> Verdict {
        Verdict {
            retry_at,
            too_old: None,
            answered: false,
        }
    }

    #[test]
    fn a_channel_waits_for_its_failing_event_and_no_other_does() {
        let (mut lanes, start) = (lanes(1), Instant::now());
        for (number, channel) in [(1, "a"), (2, "a"), (3, "b"), (4, "b")] {
            lanes.push(event(number, channel, start));
        }
        let first = lanes.take(start).unwrap();
        let other = lanes.take(start).unwrap();
        assert_eq!((numbers(&first), numbers(&other)), (vec![1], vec![3]));
        assert!(lanes.take(start).is_none());
        assert!(lanes.failed(first, again_at(start + SECOND)).is_empty());
        lanes.done(other);
        let other = lanes.take(start).unwrap();
        assert_eq!(numbers(&other), [4]);
        lanes.done(other);
        assert!(lanes.take(start).is_none());
        assert_eq!(lanes.next_due(start), Some(start + SECOND));
        let again = lanes.take(start + SECOND).unwrap();
        assert_eq!((numbers(&again), again.attempts), (vec![1], 1));
        lanes.done(again);
        assert_eq!(numbers(&lanes.take(start + SECOND).unwrap()), [2]);
    }

    #[test]
    fn a_batch_holds_as_many_as_go_in_one_request() {
        let (mut lanes, start) = (lanes(3), Instant::now());
        for number in 1..6 {
            lanes.push(event(number, "c", start));
        }
        let full = lanes.take(start).unwrap();
        assert_eq!(numbers(&full), [1, 2, 3]);
        assert!(lanes.take(start).is_none(), "the rest of c waits");
        lanes.done(full);
        lanes.push(event(6, "d", start));
        assert_eq!(numbers(&lanes.take(start).unwrap()), [4, 5, 6]);
    }

    #[test]
    fn a_batch_has_a_size_that_only_one_event_may_pass() {
        let (mut lanes, start) = (lanes(100), Instant::now());
        let mut large = event(1, "a", start);
        large.json = vec![b'x'; 5000].into();
        lanes.push(large);
        for number in 2..20 {
            lanes.push(event(number, "b", start));
        }
        assert_eq!(numbers(&lanes.take(start).unwrap()), [1]);
        assert_eq!(lanes.take(start).unwrap().events.len(), 10);
    }

    #[test]
    fn what_is_too_old_when_it_fails_is_given_up_with_what_is_behind_it() {
        let (mut lanes, start) = (lanes(1), Instant::now());
        for (number, age) in [(1, 10), (2, 9), (3, 1)] {
            let at = start + SECOND * 10 - SECOND * age;
            lanes.push(event(number, "a", at));
        }
        let now = start + SECOND * 10;
        let batch = lanes.take(now).unwrap();
        let verdict = Verdict {
            too_old: Some(now - SECOND * 5),
            ..again_at(now + SECOND)
        };
        let given_up = lanes.failed(batch, verdict);
        let given_up: Vec<u64> = given_up.iter().map(|event| event.number).collect();
        assert_eq!(given_up, [1, 2]);
        assert_eq!(numbers(&lanes.take(now).unwrap()), [3]);
    }

    #[test]
    fn what_a_webhook_does_not_like_soon_stands_alone() {
        let (mut lanes, mut now) = (lanes(100), Instant::now());
        for number in 0..8 {
            lanes.push(event(number, &format!("c{number}"), now));
        }
        let (mut taken, mut requests) = (Vec::new(), 0);
        while taken.len() < 7 {
            now = lanes.next_due(now).unwrap();
            let batch = lanes.take(now).unwrap();
            requests += 1;
            if numbers(&batch).contains(&5) {
                let verdict = Verdict {
                    answered: true,
                    ..again_at(now + SECOND)
                };
                lanes.failed(batch, verdict);
            } else {
                taken.extend(numbers(&batch));
                lanes.done(batch);
            }
        }
        taken.sort_unstable();
        assert_eq!(taken, [0, 1, 2, 3, 4, 6, 7]);
        assert_eq!(requests, 7, "the first two are whole");
        now = lanes.next_due(now).unwrap();
        assert_eq!(numbers(&lanes.take(now).unwrap()), [5]);
    }

    #[test]
    fn a_webhook_that_does_not_answer_is_not_asked_in_halves() {
        let (mut lanes, mut now) = (lanes(100), Instant::now());
        for number in 0..8 {
            lanes.push(event(number, &format!("c{number}"), now));
        }
        for _ in 0..5 {
            let batch = lanes.take(now).unwrap();
            assert_eq!(batch.events.len(), 8);
            now += SECOND;
            lanes.failed(batch, again_at(now));
        }
    }

    #[test]
    fn everything_old_can_be_given_up_but_what_is_on_its_way() {
        let (mut lanes, start) = (lanes(1), Instant::now());
        let now = start + SECOND * 10;
        for (number, channel, at) in [
            (1, "under-way", start),
            (2, "under-way", start),
            (3, "failed", start),
            (4, "failed", now),
            (5, "ready", start),
            (6, "ready", now),
            (7, "old", start),
        ] {
            lanes.push(event(number, channel, at));
        }
        let under_way = lanes.take(now).unwrap();
        let failed = lanes.take(now).unwrap();
        lanes.failed(failed, again_at(now + SECOND * 60));
        let mut given_up: Vec<u64> = lanes
            .give_up_older(start + SECOND)
            .iter()
            .map(|event| event.number)
            .collect();
        given_up.sort_unstable();
        assert_eq!(given_up, [3, 5, 7]);
        lanes.done(under_way);
        let mut left: Vec<u64> = std::iter::from_fn(|| lanes.take(now))
            .map(|batch| numbers(&batch)[0])
            .collect();
        left.sort_unstable();
        assert_eq!(left, [2, 4, 6]);
    }

    #[test]
    fn new_batches_and_failed_ones_take_turns() {
        let (mut lanes, start) = (lanes(1), Instant::now());
        for number in 0..4 {
            lanes.push(event(number, &format!("old-{number}"), start));
        }
        let tried: Vec<Batch> = std::iter::from_fn(|| lanes.take(start)).collect();
        for batch in tried {
            lanes.failed(batch, again_at(start));
        }
        for number in 10..14 {
            lanes.push(event(number, &format!("new-{number}"), start));
        }
        let order: Vec<u64> = std::iter::from_fn(|| lanes.take(start))
            .map(|batch| numbers(&batch)[0])
            .collect();
        assert_eq!(order, [10, 0, 11, 1, 12, 2, 13, 3]);
    }

    #[test]
    fn in_a_hurry_nothing_waits_for_its_next_attempt() {
        let (mut lanes, start) = (lanes(10), Instant::now());
        lanes.push(event(1, "a", start));
        let batch = lanes.take(start).unwrap();
        lanes.failed(batch, again_at(start + SECOND * 60));
        assert!(lanes.take(start).is_none());
        lanes.hurry(start);
        assert_eq!(numbers(&lanes.take(start).unwrap()), [1]);
    }

    #[test]
    fn a_webhook_that_is_back_gets_what_it_had_not_answered() {
        let (mut lanes, start) = (lanes(1), Instant::now());
        for (number, answered) in [(1, true), (2, false)] {
            lanes.push(event(number, &format!("c{number}"), start));
            let batch = lanes.take(start).unwrap();
            let verdict = Verdict {
                answered,
                ..again_at(start + SECOND * 60)
            };
            lanes.failed(batch, verdict);
        }
        lanes.retry_unanswered(start);
        assert_eq!(numbers(&lanes.take(start).unwrap()), [2]);
        assert!(lanes.take(start).is_none());
    }

    proptest! {
        /// Whatever fails, every channel's events are taken once each and in order, and nothing
        /// is left behind.
        #[test]
        fn channels_keep_their_order(
            channels in proptest::collection::vec(0..4usize, 1..60),
            fails in proptest::collection::vec(any::<(bool, bool)>(), 200),
            most_events in 1..5usize,
            under_way in 1..4usize,
        ) {
            let (mut lanes, mut now) = (lanes(most_events), Instant::now());
            for (number, channel) in channels.iter().enumerate() {
                lanes.push(event(number as u64, &format!("c{channel}"), now));
            }
            let (mut taken, mut posts, mut fails) = (Vec::new(), VecDeque::new(), fails.into_iter());
            loop {
                while posts.len() < under_way && let Some(batch) = lanes.take(now) {
                    prop_assert!(!batch.events.is_empty() && batch.events.len() <= most_events);
                    posts.push_back(batch);
                }
                match posts.pop_front() {
                    Some(batch) => match fails.next() {
                        Some((true, answered)) => {
                            let verdict = Verdict { answered, ..again_at(now + SECOND) };
                            lanes.failed(batch, verdict);
                        }
                        _ => {
                            taken.extend(batch.events.iter().cloned());
                            lanes.done(batch);
                        }
                    },
                    None => match lanes.next_due(now) {
                        Some(due) => now = due,
                        None => break,
                    },
                }
            }
            prop_assert_eq!(taken.len(), channels.len());
            for channel in 0..4 {
                let name = format!("c{channel}");
                let of_channel = taken.iter().filter(|event| event.channel.as_str() == name);
                let numbers: Vec<u64> = of_channel.map(|event| event.number).collect();
                prop_assert!(numbers.is_sorted());
            }
            prop_assert!(lanes.lanes.is_empty() && lanes.ready.is_empty());
        }
    }
}
