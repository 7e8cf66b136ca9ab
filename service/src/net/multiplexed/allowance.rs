//! How many frames a peer may send that carry nothing of a request.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

/// So many at once.
const MOST: u32 = 2000;
/// How long it takes until one more is allowed.
const ONE_MORE: Duration = Duration::from_millis(5);

/// What is left to a peer. It grows with time, and with what the peer is sent, which it has to answer with frames of
/// that kind. Clones are the same.
#[derive(Clone, Debug)]
pub struct Allowance(Rc<State>);

#[derive(Debug)]
struct State {
    left: Cell<u32>,
    since: Cell<Instant>,
    is_spent: Cell<bool>,
}

impl Allowance {
    pub(super) fn new(now: Instant) -> Self {
        Self(Rc::new(State {
            left: Cell::new(MOST),
            since: Cell::new(now),
            is_spent: Cell::new(false),
        }))
    }

    /// It was sent something that lets it send so many.
    pub fn earn(&self, frames: u32) {
        let left = self.0.left.get();
        self.0.left.set(left.saturating_add(frames).min(MOST));
    }

    /// Whether the peer has sent more than it may; it stays so.
    pub fn is_spent(&self) -> bool {
        self.0.is_spent.get()
    }

    /// So many came.
    pub(super) fn take(&self, frames: u32, now: Instant) {
        let state = &*self.0;
        if frames > state.left.get() {
            let ones = now.duration_since(state.since.get()).as_millis() / ONE_MORE.as_millis();
            state.since.set(now);
            self.earn(u32::try_from(ones).unwrap_or(MOST));
        }
        match state.left.get().checked_sub(frames) {
            Some(left) => state.left.set(left),
            None => state.is_spent.set(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_with_time_and_with_what_is_sent_and_never_past_the_most() {
        let begin = Instant::now();
        let allowance = Allowance::new(begin);
        allowance.take(MOST, begin);
        assert!(!allowance.is_spent());
        allowance.earn(3);
        allowance.take(3, begin);
        allowance.take(200, begin + Duration::from_secs(1));
        assert!(!allowance.is_spent());
        let later = begin + Duration::from_secs(1_000_000);
        allowance.take(MOST, later);
        assert!(!allowance.is_spent());
        allowance.take(1, later);
        assert!(allowance.is_spent());
        allowance.earn(100);
        assert!(allowance.is_spent());
    }
}
