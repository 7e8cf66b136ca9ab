//! What a connection's stream cannot see of its requests.

use std::cell::Cell;
use std::rc::Rc;
use std::task::Context;

use super::yielding::wake_after_others;

/// How far the request is that a connection serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Handling {
    /// None is handled: a head is awaited or on its way.
    #[default]
    Nothing,
    /// Its head has arrived, and it needs no more bytes.
    Request,
    /// Its answer comes when there is something to report, and may go on for as long: it is not for the
    /// connection to say that this takes too long.
    Held,
    /// Its head has arrived, and its handler waits for so many bytes of the body, or for all that
    /// come.
    WaitsForBody(usize),
}

/// Shared by the stream and the handlers of one connection, which handles one request at a time.
#[derive(Clone, Debug, Default)]
pub struct RequestMark(Rc<State>);

#[derive(Debug, Default)]
struct State {
    handling: Cell<Handling>,
    /// The dispatcher must be polled again when the request is handled.
    left_over: Cell<bool>,
}

/// A request that is handled until this is dropped.
#[derive(Debug)]
pub struct Handled(RequestMark);

/// A request that is held until this is dropped.
#[derive(Debug)]
pub struct Held(RequestMark);

impl RequestMark {
    /// A request's head has arrived.
    pub fn enter(&self) -> Handled {
        self.0.handling.set(Handling::Request);
        Handled(self.clone())
    }

    /// The request is held from now on: whoever handled it until now has dropped its [`Handled`].
    pub fn hold(&self) -> Held {
        self.0.handling.set(Handling::Held);
        Held(self.clone())
    }

    /// The handler can do nothing before more of the body has arrived. So many bytes of it are
    /// still to come, if that is known.
    pub fn wait_for_body(&self, missing: Option<usize>, cx: &mut Context<'_>) {
        let missing = missing.unwrap_or(usize::MAX);
        self.0.handling.set(Handling::WaitsForBody(missing));
        if self.take_left_over() {
            wake_after_others(cx);
        }
    }

    /// More of the body has arrived, or its end.
    pub fn has_body(&self) {
        self.0.handling.set(Handling::Request);
    }

    /// Whether the request is held.
    pub fn is_held(&self) -> bool {
        self.handling() == Handling::Held
    }

    pub(super) fn handling(&self) -> Handling {
        self.0.handling.get()
    }

    /// So many bytes were read.
    pub(super) fn read(&self, bytes: usize) {
        if let Handling::WaitsForBody(missing) = self.handling() {
            let missing = Handling::WaitsForBody(missing.saturating_sub(bytes));
            self.0.handling.set(missing);
        }
    }

    /// Bytes were refused, or came out of turn, and nothing else wakes who takes them.
    pub(super) fn set_left_over(&self) {
        self.0.left_over.set(true);
    }

    pub(super) fn take_left_over(&self) -> bool {
        self.0.left_over.take()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.0.handling.set(Handling::Nothing);
    }
}

impl Drop for Handled {
    fn drop(&mut self) {
        self.0.0.handling.set(Handling::Nothing);
    }
}
