//! How many messages a connection may send.

use std::time::{Duration, Instant};

use crate::apps::Limits;
use crate::metrics::MessageKind;

/// Announcements to connections on a presence channel that cost as much as one message.
const ANNOUNCEMENTS: usize = 16;
/// Bytes of a message that cost as much as one more.
const BYTES: usize = 4096;

/// What a text message of so many bytes costs.
pub(super) fn cost_of_text(bytes: usize) -> u32 {
    1 + (bytes / BYTES) as u32
}

/// What it costs to come to, or leave, a presence channel with so many connections.
pub(super) fn cost_of_announcements(notified: usize) -> u32 {
    notified.div_ceil(ANNOUNCEMENTS) as u32
}

/// An allowance of so many messages a second. What was not used lets many come at once: enough
/// to subscribe to every channel that a connection may be on, and to leave them again.
///
/// Messages are handled first and charged then; whoever has used more than there was waits
/// until that is paid for.
#[derive(Debug)]
pub(super) struct Allowance {
    /// When all that was used will have been paid for.
    paid_until: Instant,
    /// The last kind of message that was charged while there was nothing left.
    exceeded_by: MessageKind,
    /// Since when the connection has sent more than its allowance without a pause in which
    /// everything was read.
    exceeded_since: Option<Instant>,
}

impl Allowance {
    pub(super) fn full(now: Instant) -> Self {
        Self {
            paid_until: now,
            exceeded_by: MessageKind::Malformed,
            exceeded_since: None,
        }
    }

    pub(super) fn charge(&mut self, kind: MessageKind, cost: u32, limits: &Limits, now: Instant) {
        self.paid_until = self.paid_until.max(now) + time_of(cost, limits);
        if self.is_exceeded(limits, now) {
            self.exceeded_by = kind;
        }
    }

    /// Charges for what comes of a message that was charged a moment ago.
    pub(super) fn charge_more(&mut self, kind: MessageKind, cost: u32, limits: &Limits) {
        self.paid_until += time_of(cost, limits);
        if cost > 0 {
            self.exceeded_by = kind;
        }
    }

    pub(super) fn is_exceeded(&self, limits: &Limits, now: Instant) -> bool {
        self.paid_until > now + reserve(limits)
    }

    /// When the allowance is no longer exceeded.
    pub(super) fn free_at(&self, limits: &Limits) -> Instant {
        let reserve = reserve(limits);
        self.paid_until
            .checked_sub(reserve)
            .unwrap_or(self.paid_until)
    }

    /// The connection waits. Returns for which kind of message.
    pub(super) fn wait(&mut self, now: Instant) -> MessageKind {
        self.exceeded_since.get_or_insert(now);
        self.exceeded_by
    }

    pub(super) fn exceeded_by(&self) -> MessageKind {
        self.exceeded_by
    }

    /// When the connection has sent too much for too long.
    pub(super) fn overrun_at(&self, limits: &Limits) -> Option<Instant> {
        self.exceeded_since
            .map(|since| since + limits.overrun_timeout)
    }

    /// All that the client has sent was read.
    pub(super) fn all_read(&mut self) {
        self.exceeded_since = None;
    }
}

/// The time in which so much is allowed.
fn time_of(cost: u32, limits: &Limits) -> Duration {
    Duration::from_secs(1) * cost / limits.messages_per_second
}

/// What may be used at once, as the time in which it is allowed.
fn reserve(limits: &Limits) -> Duration {
    const SECONDS: u32 = 10;
    let channels = u32::try_from(limits.channels_per_connection).unwrap_or(u32::MAX / 2);
    let moves = channels.saturating_mul(2);
    Duration::from_secs(u64::from(moves / limits.messages_per_second + SECONDS))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const KIND: MessageKind = MessageKind::Ping;

    fn limits() -> Limits {
        Limits {
            messages_per_second: 100,
            channels_per_connection: 1000,
            overrun_timeout: SECOND * 60,
            ..Limits::default()
        }
    }

    /// Messages that pass until the connection has to wait.
    fn pass(allowance: &mut Allowance, now: Instant) -> usize {
        let limits = limits();
        (0..100_000)
            .take_while(|_| {
                allowance.charge(KIND, 1, &limits, now);
                !allowance.is_exceeded(&limits, now)
            })
            .count()
    }

    #[test]
    fn all_channels_may_be_joined_and_left_at_once_and_then_it_is_so_many_a_second() {
        let start = Instant::now();
        let mut allowance = Allowance::full(start);
        assert_eq!(pass(&mut allowance, start), 3000);
        assert!(pass(&mut allowance, start + SECOND).abs_diff(100) <= 1);
        assert!(pass(&mut allowance, start + SECOND * 3).abs_diff(200) <= 2);
        // What is not used is kept, up to a point.
        assert_eq!(pass(&mut allowance, start + SECOND * 3600), 3000);
    }

    #[test]
    fn whoever_has_used_too_much_knows_when_it_is_paid_for() {
        let start = Instant::now();
        let mut allowance = Allowance::full(start);
        pass(&mut allowance, start);
        allowance.charge_more(MessageKind::Presence, 99, &limits());
        let free_at = allowance.free_at(&limits());
        assert_eq!(free_at, start + SECOND);
        assert!(allowance.is_exceeded(&limits(), free_at - SECOND / 2));
        assert!(!allowance.is_exceeded(&limits(), free_at));
        assert_eq!(allowance.wait(start), MessageKind::Presence);
    }

    #[test]
    fn an_overrun_lasts_until_everything_is_read() {
        let start = Instant::now();
        let mut allowance = Allowance::full(start);
        assert_eq!(allowance.overrun_at(&limits()), None);
        allowance.wait(start);
        allowance.wait(start + SECOND);
        assert_eq!(allowance.overrun_at(&limits()), Some(start + SECOND * 60));
        allowance.all_read();
        assert_eq!(allowance.overrun_at(&limits()), None);
    }

    #[test]
    fn large_messages_and_large_rooms_cost_more() {
        assert_eq!(cost_of_text(0), 1);
        assert_eq!(cost_of_text(64 << 10), 17);
        assert_eq!(cost_of_announcements(0), 0);
        assert_eq!(cost_of_announcements(1), 1);
        assert_eq!(cost_of_announcements(100), 7);
    }
}
