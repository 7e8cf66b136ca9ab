//! Who has left, and may be back before anybody is told.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

use crate::protocol::ChannelName;

/// A channel without subscribers, or a user without a connection on a presence channel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Departed {
    /// Everybody has left the channel.
    Everybody(ChannelName),
    /// The user with this id has left the channel.
    Member(ChannelName, Arc<str>),
}

/// What has left not long ago. A return in time takes it out again, so that neither the
/// departure nor the return is ever told: a page that is loaded again changes nothing.
#[derive(Debug)]
pub(super) struct Departures {
    delay: Duration,
    most: usize,
    tickets: HashMap<Departed, Ticket, RandomState>,
    /// The same in the order in which they are due. Members that leave with the last connection
    /// of a channel come before the channel.
    queue: BTreeMap<Ticket, Departed>,
    left_so_far: u64,
}

/// When a departure is told, and which of those of the same moment it is.
type Ticket = (Instant, u64);

impl Departures {
    /// Departures wait so long, and at most so many of them.
    pub(super) fn new(delay: Duration, most: usize) -> Self {
        Self {
            delay,
            most,
            tickets: HashMap::default(),
            queue: BTreeMap::new(),
            left_so_far: 0,
        }
    }

    /// Someone has left. False if that does not wait, but is to be told now.
    pub(super) fn leave(&mut self, who: &Departed, now: Instant) -> bool {
        if self.delay.is_zero() || self.tickets.len() >= self.most {
            return false;
        }
        self.left_so_far += 1;
        let ticket = (now + self.delay, self.left_so_far);
        if let Some(earlier) = self.tickets.insert(who.clone(), ticket) {
            self.queue.remove(&earlier);
        }
        self.queue.insert(ticket, who.clone());
        true
    }

    /// Someone is there. True if they had left and nobody was told yet.
    pub(super) fn is_back(&mut self, who: &Departed) -> bool {
        match self.tickets.remove(who) {
            Some(ticket) => self.queue.remove(&ticket).is_some(),
            None => false,
        }
    }

    /// The next whose time is over.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Departed> {
        let first = self
            .queue
            .first_entry()
            .filter(|first| first.key().0 <= now)?;
        let who = first.remove();
        self.tickets.remove(&who);
        Some(who)
    }

    /// When the time of the next is over; None if nobody has left.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.queue.first_key_value().map(|((due, _), _)| *due)
    }

    /// From now on nobody is waited for, and those who have left are due.
    pub(super) fn give_up_waiting(&mut self, now: Instant) {
        self.delay = Duration::ZERO;
        let waiting = std::mem::take(&mut self.queue);
        for ((_, number), who) in waiting {
            self.tickets.insert(who.clone(), (now, number));
            self.queue.insert((now, number), who);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn channel(name: &str) -> ChannelName {
        ChannelName::parse(name, 164).unwrap()
    }

    fn everybody(name: &str) -> Departed {
        Departed::Everybody(channel(name))
    }

    fn member(name: &str, user_id: &str) -> Departed {
        Departed::Member(channel(name), user_id.into())
    }

    #[test]
    fn those_who_stay_away_are_due_in_the_order_in_which_they_left() {
        let (mut departures, start) = (Departures::new(3 * SECOND, 10), Instant::now());
        assert!(departures.leave(&member("presence-a", "1"), start));
        assert!(departures.leave(&everybody("presence-a"), start));
        assert!(departures.leave(&everybody("b"), start + SECOND));
        assert_eq!(departures.next_due(), Some(start + 3 * SECOND));
        assert_eq!(departures.take_due(start + 2 * SECOND), None);
        let due = start + 3 * SECOND;
        assert_eq!(departures.take_due(due), Some(member("presence-a", "1")));
        assert_eq!(departures.take_due(due), Some(everybody("presence-a")));
        assert_eq!(departures.take_due(due), None);
        assert_eq!(departures.next_due(), Some(start + 4 * SECOND));
    }

    #[test]
    fn whoever_is_back_in_time_had_never_left() {
        let (mut departures, start) = (Departures::new(3 * SECOND, 10), Instant::now());
        let (one, other) = (member("presence-a", "1"), member("presence-a", "2"));
        departures.leave(&one, start);
        assert!(!departures.is_back(&other));
        assert!(departures.is_back(&one));
        assert!(!departures.is_back(&one));
        assert_eq!(departures.take_due(start + 9 * SECOND), None);
        assert_eq!(departures.next_due(), None);
    }

    #[test]
    fn each_departure_has_its_own_time() {
        let (mut departures, start) = (Departures::new(3 * SECOND, 10), Instant::now());
        departures.leave(&everybody("a"), start);
        assert!(departures.is_back(&everybody("a")));
        departures.leave(&everybody("a"), start + 2 * SECOND);
        assert_eq!(departures.take_due(start + 4 * SECOND), None);
        assert_eq!(
            departures.take_due(start + 5 * SECOND),
            Some(everybody("a"))
        );
    }

    #[test]
    fn more_than_may_wait_are_told_at_once() {
        let (mut departures, start) = (Departures::new(SECOND, 1), Instant::now());
        assert!(departures.leave(&everybody("a"), start));
        assert!(!departures.leave(&everybody("b"), start));
        let mut at_once = Departures::new(Duration::ZERO, 1);
        assert!(!at_once.leave(&everybody("a"), start));
    }

    #[test]
    fn at_the_end_nobody_is_waited_for() {
        let (mut departures, start) = (Departures::new(SECOND, 9), Instant::now());
        departures.leave(&everybody("a"), start);
        departures.leave(&everybody("b"), start);
        departures.give_up_waiting(start);
        assert_eq!(departures.take_due(start), Some(everybody("a")));
        assert!(departures.is_back(&everybody("b")));
        assert!(!departures.leave(&everybody("c"), start));
    }
}
