//! This machine's clock beside that of a directory, which says when a certificate holds.

use std::fmt;
use std::time::{Duration, SystemTime};

/// Authorities that allow for wrong clocks let a certificate hold from an hour before it is issued.
const MOST_BEHIND: Duration = Duration::from_secs(3_600);
/// The shortest life that a public authority gives is a little longer.
const MOST_AHEAD: Duration = Duration::from_secs(6 * 86_400);

/// A clock is so far from the directory's that no certificate would hold by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WrongClock {
    Behind(Duration),
    Ahead(Duration),
}

/// Compares the clock with the directory's.
pub(super) fn check(ours: SystemTime, theirs: SystemTime) -> Result<(), WrongClock> {
    match theirs.duration_since(ours) {
        Ok(behind) if behind > MOST_BEHIND => Err(WrongClock::Behind(behind)),
        Ok(_) => Ok(()),
        Err(ahead) if ahead.duration() > MOST_AHEAD => Err(WrongClock::Ahead(ahead.duration())),
        Err(_) => Ok(()),
    }
}

impl fmt::Display for WrongClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (by, is_behind) = match self {
            Self::Behind(by) => (by, true),
            Self::Ahead(by) => (by, false),
        };
        let where_ = if is_behind { "behind" } else { "ahead of" };
        let (hours, minutes) = (by.as_secs() / 3_600, by.as_secs() / 60 % 60);
        write!(
            f,
            "the clock of this machine is {hours} h {minutes} min {where_} the directory's, so that no certificate would hold: set it"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn a_clock_may_be_an_hour_behind_and_some_days_ahead() {
        let theirs = SystemTime::now();
        for ours in [theirs - 60 * MINUTE, theirs, theirs + 5 * DAY] {
            assert_eq!(check(ours, theirs), Ok(()));
        }
        let behind = check(theirs - 61 * MINUTE, theirs).unwrap_err();
        assert_eq!(behind, WrongClock::Behind(61 * MINUTE));
        assert!(
            behind
                .to_string()
                .contains("1 h 1 min behind the directory's"),
            "{behind}"
        );
        let ahead = check(theirs + 7 * DAY, theirs).unwrap_err();
        assert_eq!(ahead, WrongClock::Ahead(7 * DAY));
        assert!(
            ahead
                .to_string()
                .contains("168 h 0 min ahead of the directory's"),
            "{ahead}"
        );
    }
}
