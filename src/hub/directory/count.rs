//! When subscribers are notified of how many they are.

use std::time::{Duration, Instant};

/// Up to so many subscribers, every change is announced.
///
/// Source: Pusher Channels, "Subscription counting": at once up to 100, then every 5 s.
pub const COUNT_AT_ONCE: usize = 100;
/// Above that, changes are announced at most this often.
pub const COUNT_INTERVAL: Duration = Duration::from_secs(5);

/// When a channel's count was announced last.
#[derive(Debug, Default)]
pub(super) struct CountNotice {
    /// If it ever was. Most apps announce no counts.
    last: Option<Box<Last>>,
}

#[derive(Debug)]
struct Last {
    sent_at: Instant,
    /// Whether the count has changed since.
    pending: bool,
}

/// What to do about a changed count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Announce it.
    Now,
    /// Look again later, with [`CountNotice::is_due`].
    Later,
    /// It is known already that the channel must be looked at again.
    AlreadyPending,
}

impl CountNotice {
    /// The count has changed.
    pub(super) fn changed(&mut self, count: usize, now: Instant) -> Due {
        if count <= COUNT_AT_ONCE || self.interval_is_over(now) {
            self.sent(now, self.is_pending());
            return Due::Now;
        }
        // (There was a last time: its interval is not over.)
        let last = self.last.as_mut();
        match last.map(|last| std::mem::replace(&mut last.pending, true)) {
            Some(false) => Due::Later,
            Some(true) | None => Due::AlreadyPending,
        }
    }

    /// Whether a pending change is to be announced now; if so, it no longer pends.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        if !self.interval_is_over(now) {
            return false;
        }
        self.sent(now, false);
        true
    }

    fn is_pending(&self) -> bool {
        self.last.as_ref().is_some_and(|last| last.pending)
    }

    fn sent(&mut self, sent_at: Instant, pending: bool) {
        let sent = Last { sent_at, pending };
        match &mut self.last {
            Some(last) => **last = sent,
            None => self.last = Some(Box::new(sent)),
        }
    }

    fn interval_is_over(&self, now: Instant) -> bool {
        self.last
            .as_ref()
            .is_none_or(|last| now.saturating_duration_since(last.sent_at) >= COUNT_INTERVAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_channels_are_notified_every_five_seconds() {
        let (mut notice, start) = (CountNotice::default(), Instant::now());
        assert_eq!(notice.changed(100, start), Due::Now);
        assert_eq!(notice.changed(101, start), Due::Later);
        assert_eq!(notice.changed(102, start), Due::AlreadyPending);
        assert!(!notice.is_due(start + Duration::from_secs(4)));
        assert!(notice.is_due(start + Duration::from_secs(5)));
        assert_eq!(
            notice.changed(103, start + Duration::from_secs(6)),
            Due::Later
        );
        assert_eq!(
            notice.changed(100, start + Duration::from_secs(6)),
            Due::Now
        );
    }
}
