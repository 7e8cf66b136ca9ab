//! By which who comes meets a session, wherever it lives.

use std::fmt;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::name::Name;

/// Where a session is to be met, by who comes for it.
pub struct Door<C> {
    name: Name,
    state: Mutex<State<C>>,
}

struct State<C> {
    stage: Stage<C>,
    /// The session's task.
    owner: Option<Waker>,
}

enum Stage<C> {
    /// Something carries the session.
    Carried,
    /// Something does, and somebody else has come for it, who waits to know whether it is free.
    Claimed(oneshot::Sender<()>),
    /// Nothing carries the session, and it waits.
    Waiting,
    /// Somebody has come for it.
    Handed(C),
    /// It is over.
    Closed,
}

/// Why a session cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    /// Something carries it.
    Carried,
    /// Somebody else is about to have it.
    Handed,
    /// It is over.
    Closed,
}

impl<C> Door<C> {
    pub(super) fn new(name: Name) -> Self {
        let state = State {
            stage: Stage::Carried,
            owner: None,
        };
        Self {
            name,
            state: Mutex::new(state),
        }
    }

    pub(super) fn name(&self) -> &Name {
        &self.name
    }

    /// Takes the session, if it waits.
    pub fn take<T>(&self, contender: T, handed: impl FnOnce(T) -> C) -> Result<(), (T, Busy)> {
        let mut state = self.state.lock();
        let busy = match state.stage {
            Stage::Waiting => {
                state.stage = Stage::Handed(handed(contender));
                let owner = state.owner.take();
                drop(state);
                wake(owner);
                return Ok(());
            }
            Stage::Carried | Stage::Claimed(_) => Busy::Carried,
            Stage::Handed(_) => Busy::Handed,
            Stage::Closed => Busy::Closed,
        };
        Err((contender, busy))
    }

    /// Claims a session that something carries. Ready with Ok once it waits, and with an error once it is
    /// known that it does not. None: another claim is under way.
    pub fn claim(&self) -> Option<oneshot::Receiver<()>> {
        let mut state = self.state.lock();
        let Stage::Carried = state.stage else {
            return None;
        };
        let (granted, is_granted) = oneshot::channel();
        state.stage = Stage::Claimed(granted);
        let owner = state.owner.take();
        drop(state);
        wake(owner);
        Some(is_granted)
    }

    /// Whether something carries the session.
    pub(super) fn is_carried(&self) -> bool {
        matches!(self.state.lock().stage, Stage::Carried | Stage::Claimed(_))
    }

    /// Whether somebody claims the session that something carries.
    pub(super) fn is_claimed(&self) -> bool {
        matches!(&self.state.lock().stage, Stage::Claimed(granted) if !granted.is_closed())
    }

    /// As [`Door::is_claimed`]; the task is woken by the next claim.
    pub(super) fn poll_claimed(&self, cx: &Context<'_>) -> bool {
        let mut state = self.state.lock();
        match &state.stage {
            Stage::Claimed(granted) if !granted.is_closed() => true,
            Stage::Claimed(_) => {
                state.stage = Stage::Carried;
                state.owner = Some(cx.waker().clone());
                false
            }
            _ => {
                state.owner = Some(cx.waker().clone());
                false
            }
        }
    }

    /// The claim is refused, or the session is carried anew.
    pub(super) fn carry_on(&self) {
        let stage = std::mem::replace(&mut self.state.lock().stage, Stage::Carried);
        // Whoever claims it learns from its being dropped.
        drop(stage);
    }

    /// Nothing carries the session from now on.
    pub(super) fn wait(&self) {
        let stage = std::mem::replace(&mut self.state.lock().stage, Stage::Waiting);
        if let Stage::Claimed(granted) = stage {
            // Whoever claimed it may be gone.
            let _ = granted.send(());
        }
    }

    /// Who has come for the session that waits.
    pub(super) fn poll_handed(&self, cx: &Context<'_>) -> Poll<C> {
        let mut state = self.state.lock();
        if let Stage::Handed(_) = state.stage {
            // Whoever takes the session carries it at once, on this thread.
            let stage = std::mem::replace(&mut state.stage, Stage::Carried);
            if let Stage::Handed(contender) = stage {
                return Poll::Ready(contender);
            }
        }
        state.owner = Some(cx.waker().clone());
        Poll::Pending
    }

    /// The session is over, unless somebody has just come for it.
    pub(super) fn close(&self) -> Option<C> {
        let stage = std::mem::replace(&mut self.state.lock().stage, Stage::Closed);
        match stage {
            Stage::Handed(contender) => Some(contender),
            _ => None,
        }
    }
}

fn wake(owner: Option<Waker>) {
    if let Some(owner) = owner {
        owner.wake();
    }
}

impl<C> fmt::Debug for Door<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").finish_non_exhaustive()
    }
}
