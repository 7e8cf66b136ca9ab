//! Cache misses of one channel, of which many report no more than one.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

use crate::memory::trim;
use crate::protocol::ChannelName;

/// Between two events `cache_miss` of one channel.
const BETWEEN_MISSES: Duration = Duration::from_secs(1);

/// When a cache miss is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Miss {
    /// Now: it is the channel's first in a while.
    Now,
    /// When it is due.
    Later,
    /// Together with one that waits, and reports the same.
    Joined,
}

/// The channels of which a cache miss was sent within the last second.
///
/// A thousand subscribers who find the same cache empty, or one who comes and goes a thousand
/// times, ask the backend for one thing: the first miss is sent at once, and whatever follows
/// within a second becomes one more at its end. Whoever subscribes meanwhile gets what the
/// backend publishes, as every subscriber does.
#[derive(Debug)]
pub(super) struct Misses {
    most: usize,
    /// Whether there was another one since the last that was sent.
    channels: HashMap<ChannelName, bool, RandomState>,
    /// The same channels by when the next miss may be sent.
    due: VecDeque<(Instant, ChannelName)>,
}

impl Misses {
    /// So many channels are remembered at most; the misses of others are sent as they come.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            channels: HashMap::default(),
            due: VecDeque::new(),
        }
    }

    /// A subscriber has found the channel's cache empty.
    pub(super) fn missed(&mut self, channel: &ChannelName, now: Instant) -> Miss {
        if let Some(again) = self.channels.get_mut(channel) {
            return if std::mem::replace(again, true) {
                Miss::Joined
            } else {
                Miss::Later
            };
        }
        if self.channels.len() < self.most {
            self.remember(channel.clone(), now);
        }
        Miss::Now
    }

    /// How many channels are remembered.
    pub(super) fn len(&self) -> usize {
        self.channels.len()
    }

    /// When [`Misses::take_due`] is to be called next; None while no miss was sent lately.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.front().map(|(due, _)| *due)
    }

    /// A channel whose miss has waited long enough.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<ChannelName> {
        while let Some((_, channel)) = self.due.pop_front_if(|(due, _)| *due <= now) {
            if self.channels.remove(&channel) == Some(true) {
                self.remember(channel.clone(), now);
                return Some(channel);
            }
            trim::table(&mut self.channels);
            trim::queue(&mut self.due);
        }
        None
    }

    /// The channels whose miss waits. From now on all are sent as they come: there is no time left.
    pub(super) fn take_all(&mut self) -> Vec<ChannelName> {
        self.most = 0;
        let due = std::mem::take(&mut self.due);
        let channels = std::mem::take(&mut self.channels);
        due.into_iter()
            .map(|(_, channel)| channel)
            .filter(|channel| channels.get(channel) == Some(&true))
            .collect()
    }

    fn remember(&mut self, channel: ChannelName, now: Instant) {
        self.due.push_back((now + BETWEEN_MISSES, channel.clone()));
        self.channels.insert(channel, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(name: &str) -> ChannelName {
        ChannelName::parse(name, 164).unwrap()
    }

    #[test]
    fn of_many_misses_within_a_second_the_first_is_sent_at_once_and_one_at_its_end() {
        let (mut misses, start) = (Misses::new(10), Instant::now());
        let (a, b) = (channel("cache-a"), channel("cache-b"));
        assert_eq!(misses.missed(&a, start), Miss::Now);
        assert_eq!(misses.missed(&a, start), Miss::Later);
        assert_eq!(misses.missed(&a, start), Miss::Joined);
        assert_eq!(misses.missed(&b, start), Miss::Now);
        let then = start + BETWEEN_MISSES;
        assert_eq!(misses.next_due(), Some(then));
        assert_eq!(misses.take_due(then - Duration::from_millis(1)), None);
        assert_eq!(misses.take_due(then), Some(a.clone()));
        assert_eq!(misses.take_due(then), None);

        // The one that has waited counts as the first did; nobody missed the other channel again.
        assert_eq!(misses.missed(&a, then), Miss::Later);
        assert_eq!(misses.missed(&b, then), Miss::Now);
        assert_eq!(misses.take_all(), [a]);
        assert_eq!(misses.next_due(), None);
        for _ in 0..3 {
            assert_eq!(misses.missed(&b, then), Miss::Now);
        }
    }

    #[test]
    fn channels_that_nobody_misses_again_are_forgotten() {
        let (mut misses, start) = (Misses::new(10), Instant::now());
        assert_eq!(misses.missed(&channel("cache-a"), start), Miss::Now);
        assert_eq!(misses.take_due(start + BETWEEN_MISSES), None);
        assert!(misses.channels.is_empty() && misses.due.is_empty());
    }

    #[test]
    fn misses_of_more_channels_than_are_remembered_are_sent_as_they_come() {
        let (mut misses, start) = (Misses::new(1), Instant::now());
        let (a, b) = (channel("cache-a"), channel("cache-b"));
        for expected in [Miss::Now, Miss::Later, Miss::Joined] {
            assert_eq!(misses.missed(&a, start), expected);
            assert_eq!(misses.missed(&b, start), Miss::Now);
        }
        assert_eq!(misses.channels.len(), 1);
    }
}
