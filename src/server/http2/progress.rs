//! How far a request is, and what becomes of it.

use std::cell::Cell;
use std::rc::Rc;

use service::net::multiplexed::Allowance;
use service::net::request_mark::RequestMark;

use super::settings::Settings;

/// How far a request is.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) mark: RequestMark,
    /// What is sent is not taken.
    pub(super) is_blocked: Cell<bool>,
    /// That of its connection.
    pub(super) allowance: Allowance,
    settings: Rc<Settings>,
}

impl Progress {
    pub(super) fn new(allowance: Allowance, settings: &Rc<Settings>) -> Self {
        settings.streams.set(settings.streams.get() + 1);
        Self {
            mark: RequestMark::default(),
            is_blocked: Cell::new(false),
            allowance,
            settings: Rc::clone(settings),
        }
    }

    /// Whether somebody else counts the connection for this request's sake.
    pub(super) fn is_held(&self) -> bool {
        self.mark.is_held() && !self.is_blocked.get()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        let streams = &self.settings.streams;
        streams.set(streams.get() - 1);
    }
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Answered,
    /// The client gave it up before it was answered.
    Reset,
    /// The client gave it up while it was answered.
    Left,
    /// It took too long, or could not be answered.
    Failed,
}
