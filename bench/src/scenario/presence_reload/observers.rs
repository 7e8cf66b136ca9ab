//! Who watches the members leave and come back.

/// What all observers saw, each for itself.
pub(super) struct Observers {
    members: usize,
    /// `present[observer * members + member]`.
    present: Vec<bool>,
    /// Members that an observer believes to be away.
    away: u64,
    /// Of the present reload.
    leaves: u64,
    /// Of all reloads.
    pub(super) all_leaves: u64,
    pub(super) all_joins: u64,
    /// Leaves of members who were away, and joins of those who were not.
    pub(super) contradictions: u64,
    /// Members who at the end of a reload had not been seen to come back.
    pub(super) left_away: u64,
    /// Members who in a reload had not been seen to leave.
    pub(super) not_seen_leaving: u64,
}

impl Observers {
    pub(super) fn new(members: usize, observers: usize) -> Self {
        Self {
            members,
            present: vec![true; members * observers],
            away: 0,
            leaves: 0,
            all_leaves: 0,
            all_joins: 0,
            contradictions: 0,
            left_away: 0,
            not_seen_leaving: 0,
        }
    }

    pub(super) fn sees_leave(&mut self, observer: usize, member: usize) {
        let present = &mut self.present[observer * self.members + member];
        if std::mem::replace(present, false) {
            self.away += 1;
            self.leaves += 1;
            self.all_leaves += 1;
        } else {
            self.contradictions += 1;
        }
    }

    pub(super) fn sees_join(&mut self, observer: usize, member: usize) {
        let present = &mut self.present[observer * self.members + member];
        if std::mem::replace(present, true) {
            self.contradictions += 1;
        } else {
            self.away -= 1;
            self.all_joins += 1;
        }
    }

    /// Whether each has seen each member leave and come back.
    pub(super) fn have_seen_all(&self) -> bool {
        self.away == 0 && self.leaves == self.present.len() as u64
    }

    /// A reload is over.
    pub(super) fn sum_up(&mut self) {
        let expected = self.present.len() as u64;
        self.not_seen_leaving += expected.saturating_sub(self.leaves);
        self.left_away += self.away;
        (self.leaves, self.away) = (0, 0);
        self.present.fill(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_observer_must_see_each_member_leave_and_come_back() {
        let mut observers = Observers::new(2, 2);
        for observer in [0, 1] {
            for member in [0, 1] {
                observers.sees_leave(observer, member);
                assert!(!observers.have_seen_all());
            }
        }
        for (observer, member) in [(0, 1), (0, 0), (1, 0), (1, 1)] {
            observers.sees_join(observer, member);
        }
        assert!(observers.have_seen_all());
        observers.sum_up();
        assert_eq!((observers.left_away, observers.not_seen_leaving), (0, 0));
        assert_eq!((observers.all_leaves, observers.all_joins), (4, 4));
    }

    #[test]
    fn what_does_not_fit_together_is_counted() {
        let mut observers = Observers::new(3, 1);
        observers.sees_join(0, 0);
        observers.sees_leave(0, 1);
        observers.sees_leave(0, 1);
        observers.sum_up();
        assert_eq!(observers.contradictions, 2);
        assert_eq!((observers.left_away, observers.not_seen_leaving), (1, 2));
    }
}
