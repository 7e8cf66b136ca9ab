//! Topics that the node has left. In a Redis Cluster they stay for a while among those that it has to do with: their
//! server may go back to when it had.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use crate::cluster::redis::keys::Topic;
use crate::cluster::redis::wire::GONE_FOR;

/// How many there may be. Of more the oldest are not waited for.
const MOST: usize = 100_000;

/// Topics that the node has left lately.
#[derive(Debug, Default)]
pub(super) struct Left {
    since: HashMap<Topic, Instant>,
    /// The oldest first; some were left again since.
    order: VecDeque<(Instant, Topic)>,
}

impl Left {
    pub(super) fn add(&mut self, topic: Topic, now: Instant) {
        self.since.insert(Topic::clone(&topic), now);
        self.order.push_back((now, topic));
    }

    pub(super) fn contains(&self, topic: &str) -> bool {
        self.since.contains_key(topic)
    }

    /// They are another node's.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The next that was left so long ago that it need not be known any more.
    pub(super) fn take_over(&mut self, now: Instant) -> Option<Topic> {
        loop {
            let (at, _) = self.order.front()?;
            if self.order.len() <= MOST && now.saturating_duration_since(*at) < GONE_FOR {
                return None;
            }
            let (at, topic) = self.order.pop_front()?;
            if self.since.get(&topic) == Some(&at) {
                self.since.remove(&topic);
                return Some(topic);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn topics_are_over_in_their_order_and_once() {
        let (mut left, start) = (Left::default(), Instant::now());
        let second = Duration::from_secs(1);
        left.add("a".into(), start);
        left.add("b".into(), start + second);
        left.add("a".into(), start + 2 * second);
        assert_eq!(left.take_over(start + second), None);
        assert!(left.contains("a") && left.contains("b"));
        let over = start + GONE_FOR + second;
        assert_eq!(left.take_over(over).as_deref(), Some("b"));
        assert_eq!(left.take_over(over), None);
        assert_eq!(left.take_over(over + second).as_deref(), Some("a"));
        assert!(!left.contains("a"));
    }

    #[test]
    fn no_more_are_waited_for_than_there_is_room_for() {
        let (mut left, now) = (Left::default(), Instant::now());
        for number in 0..=MOST {
            left.add(number.to_string().into(), now);
        }
        assert_eq!(left.take_over(now).as_deref(), Some("0"));
        assert_eq!(left.take_over(now), None);
    }
}
