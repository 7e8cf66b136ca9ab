//! What goes to a webhook next: each channel in order, no channel behind another.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Instant;

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use super::event::Event;
use crate::memory::trim;
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
        if lane.waiting.capacity() == 0 {
            // Strangers invent channels, of which each has one event.
            lane.waiting.reserve_exact(1);
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
        trim::queue(&mut self.ready);
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
        trim::table(&mut self.lanes);
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
        let other = if verdict.answered && batch.attempts > 0 {
            batch.split_off_half()
        } else {
            None
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

    /// Requests are put together like this from now on.
    pub(super) fn set_cut(&mut self, cut: Cut) {
        self.cut = cut;
    }

    /// Gives up all that is not on its way.
    pub(super) fn give_up_all(&mut self) -> Vec<Event> {
        let failed = std::mem::take(&mut self.failed).into_values();
        let mut given_up: Vec<Event> = failed.flat_map(|batch| batch.events).collect();
        self.ready.clear();
        for (_, lane) in self.lanes.drain() {
            given_up.extend(lane.waiting);
        }
        given_up
    }

    /// Gives up whatever happened before `too_old` and is not on its way.
    pub(super) fn give_up_older(&mut self, too_old: Instant) -> Vec<Event> {
        let mut given_up = Vec::new();
        for (key, mut batch) in std::mem::take(&mut self.failed) {
            given_up.extend(self.take_older(&mut batch, too_old));
            if batch.events.is_empty() {
                self.done(batch)
            } else {
                drop(self.failed.insert(key, batch))
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
        trim::queue(ready);
        trim::table(lanes);
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
mod tests;
