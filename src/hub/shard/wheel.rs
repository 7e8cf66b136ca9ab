//! When which connection wants to know the time: no timer for each of them.

use std::time::{Duration, Instant};

use crate::hub::mailbox::PeerId;

/// How often a shard looks at its connections' deadlines.
pub(super) const TICK: Duration = Duration::from_millis(250);

/// Ticks that the wheel goes round in: a little over a minute. Later deadlines are looked at
/// once a turn.
const SLOTS: usize = 256;

/// Connections by the tick in which they are due. What was scheduled for a connection that has
/// ended, or was scheduled anew since, is found out when its slot comes round.
#[derive(Debug)]
pub(super) struct Wheel {
    slots: Vec<Vec<Scheduled>>,
    started_at: Instant,
    /// The last tick that was looked at.
    tick: u64,
}

/// A look at a connection's deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scheduled {
    pub(super) peer: PeerId,
    pub(super) tick: u64,
}

impl Wheel {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            slots: vec![Vec::new(); SLOTS],
            started_at: now,
            tick: 0,
        }
    }

    /// Asks to be notified of the connection at the deadline, or before if that is far away.
    /// Returns the tick in which it is.
    pub(super) fn insert(&mut self, peer: PeerId, deadline: Instant) -> u64 {
        let tick = self.tick_for(deadline);
        self.slots[tick as usize % SLOTS].push(Scheduled { peer, tick });
        tick
    }

    fn tick_for(&self, deadline: Instant) -> u64 {
        let latest = self.tick + SLOTS as u64 - 1;
        (self.tick_of(deadline) + 1).clamp(self.tick + 1, latest)
    }

    /// Whether a tick is still to come, and no later than the one of that deadline.
    pub(super) fn comes_before(&self, tick: u64, deadline: Instant) -> bool {
        tick > self.tick && tick <= self.tick_for(deadline)
    }

    /// Takes out the connections whose time has come.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Scheduled> {
        let current = self.tick_of(now);
        let mut due = Vec::new();
        // After a long pause one turn sees every slot.
        let turns = (current.saturating_sub(self.tick)).min(SLOTS as u64);
        for tick in current + 1 - turns..=current {
            due.append(&mut self.slots[tick as usize % SLOTS]);
        }
        self.tick = self.tick.max(current);
        due
    }

    fn tick_of(&self, time: Instant) -> u64 {
        let elapsed = time.saturating_duration_since(self.started_at);
        (elapsed.as_millis() / TICK.as_millis()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(due: Vec<Scheduled>) -> Vec<PeerId> {
        due.into_iter().map(|scheduled| scheduled.peer).collect()
    }

    #[test]
    fn connections_are_due_at_their_deadline_and_not_before() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        wheel.insert(PeerId(1), start + Duration::from_secs(1));
        wheel.insert(PeerId(2), start);
        assert_eq!(peers(wheel.due(start + TICK)), [PeerId(2)]);
        assert_eq!(peers(wheel.due(start + Duration::from_millis(999))), []);
        assert_eq!(
            peers(wheel.due(start + Duration::from_secs(1) + TICK)),
            [PeerId(1)]
        );
        assert_eq!(peers(wheel.due(start + Duration::from_secs(500))), []);
    }

    #[test]
    fn far_deadlines_are_looked_at_once_a_turn() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        wheel.insert(PeerId(1), start + Duration::from_secs(3600));
        let turn = TICK * SLOTS as u32;
        assert_eq!(peers(wheel.due(start + turn / 2)), []);
        assert_eq!(peers(wheel.due(start + turn)), [PeerId(1)]);
    }

    #[test]
    fn a_tick_that_comes_first_is_known_until_it_has_come() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        let tick = wheel.insert(PeerId(1), start + TICK * 4);
        assert!(wheel.comes_before(tick, start + TICK * 4));
        assert!(wheel.comes_before(tick, start + TICK * 9));
        assert!(!wheel.comes_before(tick, start + TICK * 2));
        wheel.due(start + TICK * 5);
        assert!(!wheel.comes_before(tick, start + TICK * 9));
    }

    #[test]
    fn a_long_pause_loses_nobody() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        for id in 0..1000 {
            wheel.insert(PeerId(id), start + Duration::from_millis(id * 60));
        }
        let mut due = wheel.due(start + Duration::from_secs(1000));
        due.sort_by_key(|scheduled| scheduled.peer.0);
        due.dedup_by_key(|scheduled| scheduled.peer);
        assert_eq!(due.len(), 1000);
    }
}
