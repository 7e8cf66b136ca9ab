//! What time and the socket do.

use std::time::Duration;

use super::super::{Action, SignOfLife};
use super::{Asked, Model, SECOND, Step};
use crate::metrics::MessageKind;

impl Model<'_> {
    pub(super) fn pass_time(&mut self) -> Step {
        let due = self.session.deadline();
        let waited = match self.input.choose(4) {
            0 => Duration::from_millis(self.input.choose(256) as u64 * 4),
            1 => SECOND * self.input.choose(60) as u32,
            _ => due.saturating_duration_since(self.now),
        };
        self.now += waited;
        let mut action = self.session.on_time(self.now);
        if self.now < due || self.is_away {
            assert!(
                matches!(action, Action::Nothing),
                "{action:?} before it is due"
            );
        }
        if let Action::LeaveUnclaimed(ended) = action {
            self.leave_unclaimed(*ended);
            assert!(self.live.is_disjoint(&self.held), "they are not all left");
            action = self.session.on_time(self.now);
        }
        if self.carry_out(action) == Step::Closed {
            return Step::Closed;
        }
        if !self.session.waits() && !self.is_away {
            assert!(
                self.session.deadline() > self.now,
                "what was due is due still"
            );
        }
        Step::GoesOn
    }

    pub(super) fn write(&mut self) -> Step {
        match self.input.choose(3) {
            0 => {
                self.session.on_write_blocked(4096, self.now);
            }
            1 => {
                self.session.on_write_blocked(0, self.now);
            }
            _ => self.session.on_written(),
        }
        Step::GoesOn
    }

    pub(super) fn read(&mut self) -> Step {
        match self.input.choose(6) {
            0 => self.session.on_received(self.now),
            1 => self.session.on_frame(MessageKind::Ping, self.now),
            2 => {
                self.session.on_partial_message(self.now);
            }
            3 => self.session.on_whole_message(),
            4 => {
                let must_wait = self.session.must_wait(self.now).is_some();
                assert!(!must_wait || self.session.waits());
                if !must_wait {
                    self.session.on_all_read();
                }
            }
            _ => {
                let may = self.session.may_read_on(self.now);
                assert!(!(may && self.session.waits()));
            }
        }
        Step::GoesOn
    }

    /// The connection breaks.
    pub(super) fn go_away(&mut self) -> Step {
        let until = self.now + SECOND * self.input.choose(60) as u32;
        self.session.park(until, self.now);
        assert_eq!(self.session.deadline(), until);
        let joining = self.asked.iter().filter_map(|asked| match asked {
            Asked::Join(channel) => Some(channel),
            Asked::Confirm(_) | Asked::Watch(_) => None,
        });
        self.held = self.live.iter().chain(joining).cloned().collect();
        self.user_held = self.user_id.is_some();
        self.is_away = true;
        Step::GoesOn
    }

    /// The client connects again, perhaps as another program.
    pub(super) fn come_back(&mut self) -> Step {
        let sign_of_life = match self.input.choose(3) {
            0 => SignOfLife::Message,
            1 => SignOfLife::Frame,
            _ => SignOfLife::Heartbeat,
        };
        self.session.resume(sign_of_life, self.now);
        self.is_away = false;
        Step::GoesOn
    }
}
