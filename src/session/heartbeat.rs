//! Is anybody there? Idle clients are asked, and closed when they do not answer.

use std::time::{Duration, Instant};

use super::{Action, Timeouts};
use crate::protocol::{CloseCode, Frame, server};

/// A deadline that is looked at later than this was not missed by the client: the relay itself
/// did not run, or its machine.
const LATE: Duration = Duration::from_secs(1);

/// How a client is asked for a sign of life, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignOfLife {
    /// A WebSocket ping, and whatever arrives: every WebSocket library answers one, and many know
    /// no `pusher:ping`.
    Frame,
    /// `pusher:ping`, and messages only. A browser answers WebSocket pings also for a page that
    /// is frozen in the back/forward cache, whose user is not there.
    Message,
    /// A heartbeat of the HTTP fallback, and whatever arrives: all of it is sent by the page itself.
    Heartbeat,
}

impl SignOfLife {
    /// What to expect of a client that names itself so in its query. `protocol` is the version
    /// of the Pusher protocol that it speaks, if it says so.
    ///
    /// Only pusher-js runs in pages. It knows `pusher:ping` since version 5 of the protocol.
    pub fn of_client(client: Option<&str>, protocol: Option<u64>) -> Self {
        match client {
            Some("js") if protocol.is_none_or(|version| version >= 5) => Self::Message,
            _ => Self::Frame,
        }
    }
}

#[derive(Debug)]
pub(super) struct Heartbeat {
    timeouts: Timeouts,
    sign_of_life: SignOfLife,
    active_at: Instant,
    /// When a ping was sent, if one was since `active_at`.
    asked_at: Option<Instant>,
    /// Whether it was the second, as the relay itself was away when the first was due.
    asked_again: bool,
}

impl Heartbeat {
    pub(super) fn new(timeouts: Timeouts, sign_of_life: SignOfLife, now: Instant) -> Self {
        Self {
            timeouts,
            sign_of_life,
            active_at: now,
            asked_at: None,
            asked_again: false,
        }
    }

    pub(super) fn timeouts(&self) -> &Timeouts {
        &self.timeouts
    }

    /// Something has arrived, whatever it was.
    pub(super) fn received(&mut self, now: Instant) {
        if self.sign_of_life != SignOfLife::Message {
            self.alive(now);
        }
    }

    /// The client is there, or is not expected to show it.
    pub(super) fn alive(&mut self, now: Instant) {
        self.active_at = now;
        self.asked_at = None;
        self.asked_again = false;
    }

    pub(super) fn deadline(&self) -> Instant {
        match self.asked_at {
            Some(asked_at) => asked_at + self.timeouts.pong,
            None => self.active_at + self.timeouts.activity,
        }
    }

    pub(super) fn on_time(&mut self, now: Instant) -> Action {
        let deadline = self.deadline();
        if now < deadline {
            return Action::Nothing;
        }
        if self.asked_at.is_some() {
            // Once only: a relay that is always late must close the dead all the same.
            if self.asked_again || now < deadline + LATE {
                return Action::close(CloseCode::PongTimeout, self.complaint());
            }
            self.asked_again = true;
        }
        self.asked_at = Some(now);
        Action::Send(match self.sign_of_life {
            SignOfLife::Frame | SignOfLife::Heartbeat => Frame::ping(),
            SignOfLife::Message => server::ping(),
        })
    }

    fn complaint(&self) -> &'static str {
        match self.sign_of_life {
            SignOfLife::Frame => "no answer to a WebSocket ping in time",
            SignOfLife::Message => "no answer to pusher:ping in time",
            SignOfLife::Heartbeat => "no answer to a heartbeat in time",
        }
    }
}
