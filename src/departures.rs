//! Who has left, and may be back before that is reported.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

use crate::memory::trim;

/// What has left not long ago. A return in time takes it out again, so that neither the
/// departure nor the return is ever reported: a page that is loaded again changes nothing.
#[derive(Debug)]
pub struct Departures<K> {
    delay: Duration,
    most: usize,
    tickets: HashMap<K, Ticket, RandomState>,
    /// The same in the order in which they left, which is that in which they are due.
    queue: BTreeMap<Ticket, K>,
    left_so_far: u64,
}

/// When a departure is reported, and which of those of the same moment it is.
type Ticket = (Instant, u64);

impl<K: Clone + Eq + Hash> Departures<K> {
    /// Departures wait so long, and at most so many of them.
    pub fn new(delay: Duration, most: usize) -> Self {
        Self {
            delay,
            most,
            tickets: HashMap::default(),
            queue: BTreeMap::new(),
            left_so_far: 0,
        }
    }

    /// Those who leave from now on wait so long.
    pub fn set_delay(&mut self, delay: Duration) {
        self.delay = delay;
    }

    /// Someone has left. False if that does not wait, but is to be reported now.
    pub fn leave(&mut self, who: &K, now: Instant) -> bool {
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

    /// Someone is there. True if they had left and that was not reported yet.
    pub fn is_back(&mut self, who: &K) -> bool {
        match self.tickets.remove(who) {
            Some(ticket) => {
                trim::table(&mut self.tickets);
                self.queue.remove(&ticket).is_some()
            }
            None => false,
        }
    }

    /// Whether someone has left and that was not reported yet.
    pub fn is_away(&self, who: &K) -> bool {
        self.tickets.contains_key(who)
    }

    /// The next whose time is over.
    pub fn take_due(&mut self, now: Instant) -> Option<K> {
        let first = self
            .queue
            .first_entry()
            .filter(|first| first.key().0 <= now)?;
        let who = first.remove();
        self.tickets.remove(&who);
        trim::table(&mut self.tickets);
        Some(who)
    }

    /// How many have left, and may be back.
    pub fn len(&self) -> usize {
        self.tickets.len()
    }

    /// When the time of the next is over; None if nobody has left.
    pub fn next_due(&self) -> Option<Instant> {
        self.queue.first_key_value().map(|((due, _), _)| *due)
    }

    /// From now on nobody is waited for, and those who have left are due.
    pub fn give_up_waiting(&mut self, now: Instant) {
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

    fn departures(most: usize) -> (Departures<&'static str>, Instant) {
        (Departures::new(3 * SECOND, most), Instant::now())
    }

    #[test]
    fn those_who_stay_away_are_due_in_the_order_in_which_they_left() {
        let (mut departures, start) = departures(10);
        assert!(departures.leave(&"first", start));
        assert!(departures.leave(&"second", start));
        assert!(departures.leave(&"later", start + SECOND));
        assert_eq!(departures.next_due(), Some(start + 3 * SECOND));
        assert_eq!(departures.take_due(start + 2 * SECOND), None);
        let due = start + 3 * SECOND;
        assert_eq!(departures.take_due(due), Some("first"));
        assert_eq!(departures.take_due(due), Some("second"));
        assert_eq!(departures.take_due(due), None);
        assert_eq!(departures.next_due(), Some(start + 4 * SECOND));
    }

    #[test]
    fn whoever_is_back_in_time_had_never_left() {
        let (mut departures, start) = departures(10);
        departures.leave(&"one", start);
        assert!(departures.is_away(&"one"));
        assert!(!departures.is_back(&"other"));
        assert!(departures.is_back(&"one"));
        assert!(!departures.is_back(&"one") && !departures.is_away(&"one"));
        assert_eq!(departures.take_due(start + 9 * SECOND), None);
        assert_eq!(departures.next_due(), None);
    }

    #[test]
    fn each_departure_has_its_own_time() {
        let (mut departures, start) = departures(10);
        departures.leave(&"a", start);
        assert!(departures.is_back(&"a"));
        departures.leave(&"a", start + 2 * SECOND);
        assert_eq!(departures.take_due(start + 4 * SECOND), None);
        assert_eq!(departures.take_due(start + 5 * SECOND), Some("a"));
    }

    #[test]
    fn more_than_may_wait_are_reported_at_once() {
        let (mut departures, start) = departures(1);
        assert!(departures.leave(&"a", start));
        assert!(!departures.leave(&"b", start));
        let mut at_once = Departures::new(Duration::ZERO, 1);
        assert!(!at_once.leave(&"a", start));
    }

    #[test]
    fn at_the_end_nobody_is_waited_for() {
        let (mut departures, start) = departures(9);
        departures.leave(&"a", start);
        departures.leave(&"b", start);
        departures.give_up_waiting(start);
        assert_eq!(departures.take_due(start), Some("a"));
        assert!(departures.is_back(&"b"));
        assert!(!departures.leave(&"c", start));
    }
}
