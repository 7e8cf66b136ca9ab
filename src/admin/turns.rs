//! What asks others something: one at a time, and with a pause after each.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::refusal::Refusal;

/// Between the end of one and the begin of the next.
const PAUSE: Duration = Duration::from_secs(2);

/// Whose turn it is.
#[derive(Debug)]
pub(super) struct Turns {
    what: &'static str,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Free,
    Taken,
    FreeFrom(Instant),
}

/// A turn. It ends with this value.
#[derive(Debug)]
pub(super) struct Turn<'t>(&'t Turns);

impl Turns {
    /// Turns of something, named for people.
    pub(super) fn new(what: &'static str) -> Self {
        Self {
            what,
            state: Mutex::new(State::Free),
        }
    }

    /// Takes a turn, if it is nobody else's and enough time has passed.
    pub(super) fn take(&self, now: Instant) -> Result<Turn<'_>, Refusal> {
        let mut state = self.state.lock();
        match *state {
            State::Taken => {
                let text = format!("{} is under way: wait for its end", self.what);
                return Err(Refusal::Conflict(text));
            }
            State::FreeFrom(time) if time > now => {
                let wait = time - now;
                return Err(Refusal::TooSoon {
                    what: self.what,
                    wait,
                });
            }
            State::Free | State::FreeFrom(_) => *state = State::Taken,
        }
        Ok(Turn(self))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.state.lock() = State::FreeFrom(Instant::now() + PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_under_way_at_a_time_and_a_pause_follows() {
        let turns = Turns::new("a test");
        let turn = turns.take(Instant::now()).unwrap();
        let during = turns.take(Instant::now()).unwrap_err();
        assert!(matches!(during, Refusal::Conflict(_)), "{during}");
        drop(turn);
        let after = turns.take(Instant::now()).unwrap_err();
        assert!(matches!(after, Refusal::TooSoon { .. }), "{after}");
        assert!(
            after
                .to_string()
                .starts_with("a test was asked for a moment ago")
        );
        assert!(turns.take(Instant::now() + PAUSE).is_ok());
    }
}
