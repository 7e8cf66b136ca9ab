//! When subscribers are notified of how many they are.

use std::time::{Duration, Instant};

/// Up to so many subscribers, every change is announced.
///
/// Source: Pusher Channels, "Subscription counting": at once up to 100, then every 5 s.
pub const COUNT_AT_ONCE: usize = 100;
/// Above that, changes are announced at most this often.
pub const COUNT_INTERVAL: Duration = Duration::from_secs(5);

/// What was announced of a channel's count.
#[derive(Debug, Default)]
pub(super) struct CountNotice {
    /// If anything ever was. Most apps announce no counts.
    last: Option<Box<Last>>,
}

#[derive(Debug)]
struct Last {
    sent_at: Instant,
    announced: usize,
    /// How many subscribers there are.
    count: usize,
    /// Whether somebody has come who knows no count yet.
    has_newcomer: bool,
    /// Whether the channel is to be looked at again.
    pending: bool,
}

/// What to do about a changed count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Announce it.
    Now,
    /// Look again later, with [`CountNotice::look`].
    Later,
    /// Nothing: it was announced, or it is known already that the channel is to be looked at again.
    Nothing,
}

impl CountNotice {
    /// The count has changed.
    pub(super) fn changed(&mut self, count: usize, now: Instant) -> Due {
        let Some(last) = &mut self.last else {
            self.last = Some(Box::new(Last {
                sent_at: now,
                announced: count,
                count,
                has_newcomer: false,
                pending: false,
            }));
            return Due::Now;
        };
        last.has_newcomer |= count > last.count;
        last.count = count;
        if count <= COUNT_AT_ONCE || last.interval_is_over(now) {
            return last.announce(now);
        }
        let was_pending = std::mem::replace(&mut last.pending, true);
        if was_pending {
            Due::Nothing
        } else {
            Due::Later
        }
    }

    /// The channel is looked at again, as [`Due::Later`] asked for.
    pub(super) fn look(&mut self, now: Instant) -> Due {
        let Some(last) = &mut self.last else {
            return Due::Nothing;
        };
        if !last.interval_is_over(now) {
            return Due::Later;
        }
        last.pending = false;
        last.announce(now)
    }
}

impl Last {
    /// What everybody knows is not announced again.
    fn announce(&mut self, now: Instant) -> Due {
        if self.announced == self.count && !self.has_newcomer {
            return Due::Nothing;
        }
        self.announced = self.count;
        self.has_newcomer = false;
        self.sent_at = now;
        Due::Now
    }

    fn interval_is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.sent_at) >= COUNT_INTERVAL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_channels_are_notified_every_five_seconds() {
        let (mut notice, start) = (CountNotice::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(notice.changed(100, start), Due::Now);
        assert_eq!(notice.changed(101, start), Due::Later);
        assert_eq!(notice.changed(102, start), Due::Nothing);
        assert_eq!(notice.look(after(4)), Due::Later);
        assert_eq!(notice.look(after(5)), Due::Now);
        assert_eq!(notice.changed(103, after(6)), Due::Later);
        assert_eq!(notice.changed(100, after(6)), Due::Now);
    }

    #[test]
    fn what_everybody_knows_is_not_announced_again() {
        let (mut notice, start) = (CountNotice::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(notice.changed(100, start), Due::Now);
        assert_eq!(notice.changed(101, start), Due::Later);
        assert_eq!(notice.changed(100, after(1)), Due::Now);
        assert_eq!(notice.changed(99, after(1)), Due::Now);
        assert_eq!(notice.look(after(5)), Due::Later);
        assert_eq!(notice.look(after(6)), Due::Nothing);
        // Who came in place of somebody else has to know it, too.
        assert_eq!(notice.changed(101, after(7)), Due::Now);
        assert_eq!(notice.changed(102, after(8)), Due::Later);
        assert_eq!(notice.changed(101, after(9)), Due::Nothing);
        assert_eq!(notice.look(after(12)), Due::Now);
    }
}
