//! A client that sends more than it may, or takes less than it must.

use std::time::{Duration, Instant};

use super::{Action, CloseReason, Overload, Session};
use crate::metrics::MessageKind;
use crate::protocol::CloseCode;

/// Subscriptions that may wait for the authority before a connection is read no further.
pub(super) const MOST_UNANSWERED: u32 = 256;

/// Bytes a second that a client must take, on average, while something waits for it: as many as over HTTP.
const SLOWEST: u32 = 1024;

/// Why a connection is not read for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitsFor {
    /// It has sent more than it may in the time; this was too much.
    Allowance(MessageKind),
    /// The authority has not answered what it asked for.
    Answers,
}

impl Session {
    /// A WebSocket ping or pong, or a part of a message, was received.
    pub fn on_frame(&mut self, kind: MessageKind, now: Instant) {
        self.allowance
            .charge(kind, 1, &self.app.record().limits, now);
    }

    /// Whether what was received must be done with before more is read: more came than the
    /// connection may send in the time, or too much waits for the authority. The connection
    /// waits, if so, until [`Session::may_read_on`].
    pub fn must_wait(&mut self, now: Instant) -> Option<WaitsFor> {
        let waits_for = if self.allowance.is_exceeded(&self.app.record().limits, now) {
            WaitsFor::Allowance(self.allowance.wait(now))
        } else if self.unanswered >= MOST_UNANSWERED {
            WaitsFor::Answers
        } else {
            return None;
        };
        self.wait(now);
        Some(waits_for)
    }

    /// The connection waits, and is not read, until [`Session::read_on`].
    pub fn wait(&mut self, now: Instant) {
        self.waits_since.get_or_insert(now);
    }

    /// Whether the connection waits.
    pub fn waits(&self) -> bool {
        self.waits_since.is_some()
    }

    /// Whether a connection that waits need not do so any longer; it is read on, then.
    pub fn may_read_on(&mut self, now: Instant) -> bool {
        let may = self.unanswered <= MOST_UNANSWERED / 2
            && !self.allowance.is_exceeded(&self.app.record().limits, now);
        if may {
            self.read_on(now);
        }
        may
    }

    /// The wait is over. It was not the client that was silent, or slow, meanwhile.
    pub fn read_on(&mut self, now: Instant) {
        self.heartbeat.alive(now);
        let waited = self
            .waits_since
            .take()
            .filter(|_| !self.is_over_allowance());
        if let (Some(since), Some(by)) = (waited, &mut self.complete_by) {
            *by += now.saturating_duration_since(since);
        }
    }

    /// Whether the client itself keeps its messages waiting: that gives it no more time for them.
    pub(super) fn is_over_allowance(&self) -> bool {
        self.allowance
            .overrun_at(&self.app.record().limits)
            .is_some()
    }

    /// All that the client has sent was read.
    pub fn on_all_read(&mut self) {
        self.allowance.all_read();
    }

    /// Something waits for the socket, which has taken so many bytes of it since the last
    /// call. Returns whether the wait has just begun, which may bring the deadline closer.
    pub fn on_write_blocked(&mut self, taken: usize, now: Instant) -> bool {
        let latest = now + self.heartbeat.timeouts().write;
        let begins = self.write_by.is_none();
        // What is taken must be worth the wait, and more is worth no longer one.
        let earned = Duration::from_secs(taken as u64) / SLOWEST;
        self.write_by = Some(match self.write_by {
            Some(by) => latest.min(by + earned),
            None => latest,
        });
        begins
    }

    /// Nothing waits for the socket.
    pub fn on_written(&mut self) {
        self.write_by = None;
    }

    /// The client takes nothing, or sends too much, and has done so for too long.
    pub(super) fn on_flood_or_stall(&self, now: Instant) -> Option<Action> {
        let limits = &self.app.record().limits;
        let over = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        let (cause, text) = if over(self.write_by) {
            let seconds = self.heartbeat.timeouts().write.as_secs();
            let text = format!(
                "the client took nothing, or less than 1 KB a second, for {seconds} seconds \
                 (write_timeout)"
            );
            (Overload::Stall, text)
        } else if self.waits_since.is_some() && over(self.allowance.overrun_at(limits)) {
            let most = limits.messages_per_second;
            let text = format!("more than {most} messages a second (messages_per_second)");
            (Overload::Flood(self.allowance.exceeded_by()), text)
        } else {
            return None;
        };
        let reason = CloseReason::new(CloseCode::OverCapacity, text);
        Some(Action::CloseOverload { cause, reason })
    }
}
