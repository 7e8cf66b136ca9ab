//! What is known of an HTTP connection while it is open.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;

use super::connections::List;
use super::request_mark::{Handling, RequestMark};
use super::room::ClosedWhile;

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The first byte of its first request.
    FirstRequest,
    /// The first byte of its next request.
    NextRequest,
    /// The rest of a request, or the answer.
    Answer,
    /// The peer, which is to take note that the connection is being closed.
    Close,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) waiting: Cell<Waiting>,
    pub(super) since: Cell<Instant>,
    mark: RequestMark,
    /// Its peer does not take what is written.
    blocked: Cell<bool>,
    evicted: Cell<bool>,
    /// It is not in the list for as long as whoever holds its request counts it.
    held: Cell<bool>,
    /// Where it stands in the list of its thread; nowhere once it is taken out.
    pub(super) index: Cell<Option<usize>>,
    waker: RefCell<Option<Waker>>,
}

impl State {
    fn new() -> Self {
        Self {
            waiting: Cell::new(Waiting::FirstRequest),
            since: Cell::new(Instant::now()),
            mark: RequestMark::default(),
            blocked: Cell::new(false),
            evicted: Cell::new(false),
            held: Cell::new(false),
            index: Cell::new(None),
            waker: RefCell::new(None),
        }
    }

    pub(super) fn closed_while(&self) -> ClosedWhile {
        match self.waiting.get() {
            Waiting::Close => ClosedWhile::Idle,
            _ if self.blocked.get() || self.mark.handling() != Handling::Nothing => {
                ClosedWhile::Request
            }
            Waiting::NextRequest => ClosedWhile::Idle,
            Waiting::FirstRequest | Waiting::Answer => ClosedWhile::Head,
        }
    }

    pub(super) fn is_closing(&self) -> bool {
        self.waiting.get() == Waiting::Close
    }

    /// Asks the connection's task to end.
    pub(super) fn evict(&self) {
        self.evicted.set(true);
        let waker = self.waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn wait(&self, waiting: Waiting) {
        self.waiting.set(waiting);
        self.since.set(Instant::now());
    }

    /// Whether the connection must end; if not, the task is woken when it must.
    fn must_end(&self, cx: &Context<'_>) -> bool {
        if self.evicted.get() {
            return true;
        }
        let mut waker = self.waker.borrow_mut();
        if !matches!(&*waker, Some(waker) if waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        false
    }
}

/// An open connection, counted until this is dropped.
#[derive(Debug)]
pub struct Entry {
    state: Rc<State>,
    list: Option<Rc<List>>,
}

impl Entry {
    /// One that nothing counts or closes.
    pub fn alone() -> Self {
        Self {
            state: Rc::new(State::new()),
            list: None,
        }
    }

    pub(super) fn listed(list: Rc<List>) -> Self {
        Self {
            state: Rc::new(State::new()),
            list: Some(list),
        }
    }

    pub(super) fn state(&self) -> &Rc<State> {
        &self.state
    }

    /// What the connection's handlers mark their progress on.
    pub fn request_mark(&self) -> RequestMark {
        self.state.mark.clone()
    }

    /// What it waits for.
    pub fn waiting(&self) -> Waiting {
        self.state.waiting.get()
    }

    /// Since when.
    pub fn since(&self) -> Instant {
        self.state.since.get()
    }

    /// Something was read.
    pub fn on_read(&self) {
        if matches!(self.waiting(), Waiting::FirstRequest | Waiting::NextRequest) {
            self.state.wait(Waiting::Answer);
        }
    }

    /// Something was written.
    pub fn on_written(&self) {
        // Each time: an answer may come in parts, and go on for longer than one may idle.
        if self.waiting() != Waiting::Close {
            self.state.wait(Waiting::NextRequest);
        }
    }

    /// It waits for the same from now on.
    pub(super) fn begin_anew(&self) {
        self.state.since.set(Instant::now());
    }

    /// Whether the peer does not take what is written.
    pub fn set_blocked(&self, blocked: bool) {
        self.state.blocked.set(blocked);
    }

    /// Whether somebody else counts the connection: while its request is held, it is neither among the
    /// HTTP connections nor closed to make room for others.
    pub fn set_held(&self, held: bool) {
        if self.state.held.replace(held) == held {
            return;
        }
        if !held {
            self.begin_anew();
        }
        match &self.list {
            Some(list) if held => list.remove(&self.state),
            Some(list) if !self.state.evicted.get() => list.bring_back(&self.state),
            _ => {}
        }
    }

    /// The last answer was given: the connection only waits for the peer to take note of it.
    pub fn close(&self) {
        self.state.wait(Waiting::Close);
    }

    /// Whether the connection must end to make room for others; if not, the task is woken when
    /// it must.
    pub fn must_end(&self, cx: &Context<'_>) -> bool {
        self.state.must_end(cx)
    }

    /// Completes when the connection must end to make room for others.
    pub async fn evicted(&self) {
        poll_fn(|cx| {
            if self.must_end(cx) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(list) = &self.list {
            list.remove(&self.state);
        }
    }
}
