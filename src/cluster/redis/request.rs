//! What the other threads ask of the one that speaks to Redis.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use parking_lot::Mutex;
use redis::{Cmd, Value};
use tokio::sync::{Notify, oneshot};

use super::entry::Event;
use crate::hub::{AppHub, Join, Leave, PeerHandle, Rank, SignIn, Unavailable};
use crate::protocol::ChannelName;
use crate::protocol::member::{Member, Watchlist};

/// A request; those of one connection are done in their order.
pub(super) enum Request {
    Join(Arc<AppHub>, Join),
    Confirm(Arc<AppHub>, PeerHandle, ChannelName),
    Leave(Arc<AppHub>, Leave),
    SignIn(Arc<AppHub>, SignIn),
    SignOut(Arc<AppHub>, PeerHandle, Arc<str>),
    Unwatch(Arc<AppHub>, Watchlist),
    Publish(Publish),
    Close(Close),
    /// A question that is Redis' to answer.
    Ask(Question),
    /// Apps of the database were changed here.
    AppsChanged,
    /// Something for Redis to know, now or when it is back.
    Settle(Settlement),
    /// The node is to go.
    Stop(oneshot::Sender<()>),
}

/// An event that the node's own subscribers have already.
pub(super) struct Publish {
    pub(super) app: Arc<AppHub>,
    pub(super) channel: Box<str>,
    pub(super) event: Event,
    pub(super) rank: Rank,
    pub(super) receipt: oneshot::Sender<()>,
}

/// A user's connections are to be closed; those to this node are already.
pub(super) struct Close {
    pub(super) app: Arc<AppHub>,
    pub(super) user_id: Box<str>,
    pub(super) code: u16,
    pub(super) reason: String,
    pub(super) receipt: oneshot::Sender<()>,
}

/// One command, and where its answer goes.
pub(super) struct Question {
    /// A key of the command, from which follows which server it is for.
    pub(super) key: String,
    pub(super) command: Cmd,
    /// Whether a publish waits for it.
    pub(super) is_urgent: bool,
    pub(super) answer: oneshot::Sender<Result<Value, Unavailable>>,
}

/// What became of an idempotency key. To be sent twice does no harm.
#[derive(Clone)]
pub(super) struct Settlement {
    /// A key of the command.
    pub(super) key: String,
    pub(super) command: Cmd,
    /// When it has become meaningless.
    pub(super) until: Instant,
}

/// A user who leaves needs no more than an id.
impl Request {
    pub(super) fn sign_out(app: &Arc<AppHub>, peer: PeerHandle, user: &Member) -> Self {
        Self::SignOut(Arc::clone(app), peer, Arc::clone(user.user_id()))
    }
}

impl Publish {
    /// The WebSocket message of an event.
    pub(super) fn payload(frame: &crate::protocol::Frame) -> Bytes {
        frame.bytes().slice_ref(frame.payload())
    }
}

/// Requests that wait. Anyone may push; one thread takes, until it is gone.
pub(super) struct Requests {
    /// None: nobody takes them any more.
    waiting: Mutex<Option<Vec<Request>>>,
    pushed: Notify,
}

impl Default for Requests {
    fn default() -> Self {
        Self {
            waiting: Mutex::new(Some(Vec::new())),
            pushed: Notify::new(),
        }
    }
}

impl Requests {
    /// A request that nobody will take is dropped, and with it the promise of an answer.
    pub(super) fn push(&self, request: Request) {
        let mut waiting = self.waiting.lock();
        let Some(requests) = &mut *waiting else {
            return;
        };
        let was_empty = requests.is_empty();
        requests.push(request);
        drop(waiting);
        if was_empty {
            self.pushed.notify_one();
        }
    }

    /// Waits until there are some.
    pub(super) async fn pushed(&self) {
        self.pushed.notified().await;
    }

    /// Exchanges all that wait for an empty list, whose memory is used again.
    pub(super) fn take(&self, empty: Vec<Request>) -> Vec<Request> {
        match &mut *self.waiting.lock() {
            Some(waiting) => std::mem::replace(waiting, empty),
            None => empty,
        }
    }

    /// Nobody takes requests any more.
    pub(super) fn close(&self) {
        let waiting = self.waiting.lock().take();
        // Dropped when the lock is gone.
        drop(waiting);
    }
}
