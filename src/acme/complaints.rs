//! Which failed orders an operator is warned of.

use std::time::{Duration, Instant, SystemTime};

use super::schedule::{Failure, Validity};
use crate::throttle::Throttle;

/// A certificate that is to be renewed and has less left than this, or less than a part of its life, is in danger.
const LEFT_IN_DANGER: Duration = Duration::from_secs(14 * 86_400);
const PART_IN_DANGER: u32 = 4;

/// What was warned of, until an order succeeds.
#[derive(Debug)]
pub(super) struct Complaints {
    last: Option<(Failure, String)>,
    repeated: Throttle,
}

impl Default for Complaints {
    fn default() -> Self {
        Self {
            last: None,
            repeated: Throttle::daily(),
        }
    }
}

impl Complaints {
    /// Whether a failure is worth a warning: it is another one than the last, or clients are in danger of being
    /// refused, and nobody was warned for a day.
    pub(super) fn is_due(
        &mut self,
        failure: Failure,
        reason: &str,
        is_in_danger: bool,
        now: Instant,
    ) -> bool {
        // A directory that is away is away for many reasons in turn; another one that it gives is news.
        let compared = match failure {
            Failure::Unreachable => String::new(),
            _ => reason.to_owned(),
        };
        let failure = Some((failure, compared));
        let is_news = self.last != failure;
        self.last = failure;
        if is_news {
            self.repeated = Throttle::daily();
        }
        (is_news || is_in_danger) && self.repeated.lets_through(now)
    }

    /// There is a new certificate.
    pub(super) fn settle(&mut self) {
        *self = Self::default();
    }
}

/// Whether a certificate of this life will soon be refused by clients, and should have been renewed long ago. None: there is
/// no certificate.
pub(super) fn is_in_danger(served: Option<Validity>, now: SystemTime) -> bool {
    let Some(served) = served else {
        return true;
    };
    let life = served.not_after.duration_since(served.not_before);
    let part = life.unwrap_or_default() / PART_IN_DANGER;
    let left = served.not_after.duration_since(now).unwrap_or_default();
    left < part.min(LEFT_IN_DANGER)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);
    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn another_failure_is_warned_of_at_once_and_the_same_not_again() {
        let (mut complaints, now) = (Complaints::default(), Instant::now());
        let mut is_due = |failure, reason| complaints.is_due(failure, reason, false, now);
        assert!(is_due(Failure::Refused, "no record"));
        assert!(!is_due(Failure::Refused, "no record"));
        assert!(is_due(Failure::Refused, "another record"));
        assert!(is_due(Failure::Unreachable, "refused"));
        assert!(!is_due(Failure::Unreachable, "timeout"));
        assert!(is_due(Failure::Refused, "no record"));
        complaints.settle();
        assert!(complaints.is_due(Failure::Refused, "no record", false, now));
    }

    #[test]
    fn the_same_failure_is_warned_of_once_a_day_when_the_certificate_is_in_danger() {
        let (mut complaints, start) = (Complaints::default(), Instant::now());
        let mut is_due = |is_in_danger, after| {
            complaints.is_due(Failure::Refused, "no record", is_in_danger, start + after)
        };
        assert!(is_due(false, Duration::ZERO));
        assert!(!is_due(false, 2 * DAY));
        assert!(is_due(true, 3 * DAY));
        assert!(!is_due(true, 4 * DAY - HOUR));
        assert!(is_due(true, 4 * DAY));
    }

    #[test]
    fn a_certificate_is_in_danger_when_its_renewal_has_failed_for_long() {
        let now = SystemTime::now();
        let of = |life: Duration, left: Duration| {
            let not_after = now + left;
            let not_before = not_after - life;
            is_in_danger(
                Some(Validity {
                    not_before,
                    not_after,
                }),
                now,
            )
        };
        assert!(is_in_danger(None, now));
        assert!(!of(90 * DAY, 15 * DAY));
        assert!(of(90 * DAY, 13 * DAY));
        assert!(!of(6 * DAY, 37 * HOUR));
        assert!(of(6 * DAY, 35 * HOUR));
    }
}
