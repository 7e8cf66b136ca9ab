//! Is anybody there? Idle clients are asked, and closed when they do not answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Action, SignOfLife, Timeouts};
use crate::protocol::CloseCode;

/// A deadline that is looked at later than this was not missed by the client: the relay itself
/// did not run, or its machine.
const LATE: Duration = Duration::from_secs(1);

/// How long an answer may take that is on its way.
const IN_VAIN: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Heartbeat {
    timeouts: Arc<Timeouts>,
    sign_of_life: SignOfLife,
    active_at: Instant,
    /// When a ping was sent, if one was since `active_at`.
    asked_at: Option<Instant>,
    /// Whether the relay itself did not run at some time since the ping.
    is_excused: bool,
    /// Whether it was the second, as the client is not to blame that the first was in vain.
    asked_again: bool,
    /// Whether something came since that was no sign of life.
    is_answered_for: bool,
}

impl Heartbeat {
    pub(super) fn new(timeouts: Arc<Timeouts>, sign_of_life: SignOfLife, now: Instant) -> Self {
        Self {
            timeouts,
            sign_of_life,
            active_at: now,
            asked_at: None,
            is_excused: false,
            asked_again: false,
            is_answered_for: false,
        }
    }

    pub(super) fn sign_of_life(&self) -> SignOfLife {
        self.sign_of_life
    }

    /// When the client last showed that it is there.
    pub(super) fn active_at(&self) -> Instant {
        self.active_at
    }

    /// The client has come back, and may be another program now.
    pub(super) fn begin_again(&mut self, sign_of_life: SignOfLife, now: Instant) {
        self.sign_of_life = sign_of_life;
        self.alive(now);
    }

    pub(super) fn timeouts(&self) -> &Timeouts {
        &self.timeouts
    }

    /// Something has arrived, whatever it was.
    pub(super) fn received(&mut self, now: Instant) {
        if self.sign_of_life != SignOfLife::Message {
            self.alive(now);
        } else if self.asked_at.is_some() {
            self.is_answered_for = true;
        }
    }

    /// Whether the client was asked in vain while something else at its end answered: a browser, for a
    /// page that is frozen. Its network is not the reason why it is silent.
    pub(super) fn is_frozen(&self) -> bool {
        self.is_answered_for
    }

    /// The client is there, or is not expected to show it.
    pub(super) fn alive(&mut self, now: Instant) {
        self.active_at = now;
        self.asked_at = None;
        self.is_excused = false;
        self.asked_again = false;
        self.is_answered_for = false;
    }

    /// Whether the client has been asked for longer than an answer should take.
    pub(super) fn waits_in_vain(&self, now: Instant) -> bool {
        self.asked_at
            .is_some_and(|asked_at| now >= asked_at + IN_VAIN)
    }

    pub(super) fn deadline(&self) -> Instant {
        match self.asked_at {
            Some(asked_at) => asked_at + self.timeouts.pong,
            None => self.active_at + self.timeouts.activity,
        }
    }

    /// The relay did not run until then. Perhaps its whole machine did not, the client's network on it: a client
    /// that was asked before had less time for its answer than it is due.
    pub(super) fn on_standstill(&mut self, ended_at: Instant) {
        self.is_excused |= self.asked_at.is_some_and(|asked_at| asked_at < ended_at);
    }

    pub(super) fn on_time(&mut self, now: Instant) -> Action {
        let deadline = self.deadline();
        if now < deadline {
            return Action::Nothing;
        }
        if self.asked_at.is_some() {
            // Once only: a relay that is always late must close the dead all the same.
            let is_excused = self.is_excused || now >= deadline + LATE;
            if self.asked_again || !is_excused {
                return Action::close(CloseCode::PongTimeout, self.complaint());
            }
            self.asked_again = true;
        }
        self.asked_at = Some(now);
        Action::Ping(self.sign_of_life)
    }

    fn complaint(&self) -> &'static str {
        match self.sign_of_life {
            SignOfLife::Frame => "no answer to a WebSocket ping in time",
            SignOfLife::Message => "no answer to pusher:ping in time",
            SignOfLife::Heartbeat => "no answer to a heartbeat in time",
        }
    }
}
