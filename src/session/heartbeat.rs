//! Is anybody there? Idle clients are asked, and closed when they do not answer.

use std::time::Instant;

use super::{Action, Timeouts};
use crate::protocol::{CloseCode, server};

#[derive(Debug)]
pub(super) struct Heartbeat {
    timeouts: Timeouts,
    active_at: Instant,
    /// Whether a ping has been sent since `active_at`.
    asked_at: Option<Instant>,
}

impl Heartbeat {
    pub(super) fn new(timeouts: Timeouts, now: Instant) -> Self {
        Self {
            timeouts,
            active_at: now,
            asked_at: None,
        }
    }

    pub(super) fn activity(&mut self, now: Instant) {
        self.active_at = now;
        self.asked_at = None;
    }

    pub(super) fn deadline(&self) -> Instant {
        match self.asked_at {
            Some(asked_at) => asked_at + self.timeouts.pong,
            None => self.active_at + self.timeouts.activity,
        }
    }

    pub(super) fn on_time(&mut self, now: Instant) -> Action {
        if now < self.deadline() {
            return Action::Nothing;
        }
        if self.asked_at.is_some() {
            return Action::close(CloseCode::PongTimeout, "no answer to pusher:ping in time");
        }
        self.asked_at = Some(now);
        Action::Send(server::ping())
    }
}
