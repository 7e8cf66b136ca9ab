//! The commands to shards, in order.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

use futures_util::task::AtomicWaker;
use parking_lot::{Mutex, MutexGuard};
use smallvec::SmallVec;
use tokio::sync::oneshot;

use super::broadcast::Broadcast;
use super::inspected::ConnectionReport;
use crate::protocol::member::{Member, Watchlist};
use crate::protocol::{ChannelName, Frame, SocketId};
use crate::session::CloseReason;

/// An app at work on this node, as threads name it to one another: no thread keeps an app at work
/// by having something on its way to it. Numbers are never used again, so that what comes for an app
/// that is gone cannot reach another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct AppIndex(u64);

impl AppIndex {
    /// That of a new app.
    pub(super) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Which of a shard's connections; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerId(pub(super) u64);

/// A channel (or signed-in user) from its first connection to its last. Numbers are never used
/// again, so what is still on its way to an old one cannot reach a new one of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ChannelId(u64);

impl ChannelId {
    /// That of a channel that has just been occupied.
    pub(super) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// What another thread, or this one, asks of a shard.
#[derive(Debug)]
pub(super) enum Command {
    /// An event goes to subscribers.
    Deliver(Delivery),
    /// Connections and their channels change.
    Control(Control),
}

// A backlog of deliveries takes no more memory for what else a command may be.
const _: () = assert!(size_of::<Command>() == size_of::<Control>());

/// A broadcast on its way to a channel's local subscribers.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) channel: ChannelId,
    pub(super) broadcast: Arc<Broadcast>,
}

/// What is asked of a shard beside deliveries.
#[derive(Debug)]
pub(super) enum Control {
    /// A connection is on the channel from here on, unless it is gone or has changed its mind.
    Join {
        peer: PeerId,
        channel: ChannelId,
        joined: Box<Joined>,
    },
    /// Confirm to a connection again that it is on a channel.
    Confirm {
        peer: PeerId,
        channel: ChannelId,
        welcome: Box<Welcome>,
    },
    /// The client of a connection is away, and may come back.
    Park { peer: PeerId },
    /// A client that was away has signed in again as the user that it was.
    UserIsBack { peer: PeerId },
    /// A connection may not be on the channel.
    Refuse {
        peer: PeerId,
        channel: ChannelName,
        error: Frame,
    },
    /// A connection is no longer on the channel.
    Leave { peer: PeerId, channel: ChannelId },
    /// A connection is notified of these users from here on, unless it is gone.
    Watch { peer: PeerId, watched: Box<Watched> },
    /// A connection is no longer notified of users.
    Unwatch { peer: PeerId, lists: Vec<ChannelId> },
    /// Close all local connections on the channel.
    Close {
        channel: ChannelId,
        reason: Arc<CloseReason>,
    },
    /// Close all connections to an app.
    CloseApp {
        app: AppIndex,
        reason: Arc<CloseReason>,
    },
    /// Close all connections of the shard.
    CloseEveryone { reason: Arc<CloseReason> },
    /// Somebody wants to know what connections are like.
    Inspect(Box<Inspection>),
}

/// What somebody who may wait for it wants to know. Each question is short.
#[derive(Debug)]
pub(super) enum Inspection {
    /// Which connections there are.
    Numbers(oneshot::Sender<Vec<PeerId>>),
    /// What some of them are like.
    Look(Look, oneshot::Sender<Vec<Seen>>),
}

/// Some connections that somebody looks at.
#[derive(Debug)]
pub(super) struct Look {
    /// Those of other apps are left out.
    pub(super) app: AppIndex,
    pub(super) peers: Vec<PeerId>,
    /// If it is set, all others are left out.
    pub(super) socket_id: Option<SocketId>,
    pub(super) with: With,
}

/// What is more than looking.
#[derive(Clone, Debug)]
pub(super) enum With {
    Nothing,
    /// Their channels are listed.
    Channels,
    /// They are closed.
    Close(Arc<CloseReason>),
}

/// A connection that was seen.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) peer: PeerId,
    pub(super) report: ConnectionReport,
}

/// A join that the authority has granted.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) app: AppIndex,
    pub(super) as_what: JoinedAs,
}

#[derive(Debug)]
pub(super) enum JoinedAs {
    Subscriber {
        welcome: Welcome,
        member: Option<Arc<Member>>,
    },
    User {
        user: Arc<Member>,
        reply: Option<Frame>,
    },
}

/// What a connection that watches users is sent at first.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) app: AppIndex,
    pub(super) watchlist: Watchlist,
    /// What the shards know the watched users by, in the same order.
    pub(super) lists: Vec<ChannelId>,
    pub(super) complaint: Option<Frame>,
    pub(super) statuses: Frame,
}

/// What a new subscriber is sent. The state was copied under the channel's lock; putting it
/// into words is left to the subscriber's own thread.
#[derive(Debug)]
pub(super) struct Welcome {
    pub(super) channel: ChannelName,
    /// The members, on presence channels.
    pub(super) roster: Option<Vec<Arc<Member>>>,
    /// Connections on this node that are on the channel, this one among them.
    pub(super) listeners: usize,
    /// The last event, on cache channels.
    pub(super) cached: Option<Frame>,
}

/// A shard's FIFO. Anyone may post; only the shard takes.
pub struct Mailbox {
    queue: Mutex<Queue>,
    waker: AtomicWaker,
}

/// What waits in a mailbox.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) commands: Vec<Command>,
    /// Deliveries that the commands stand for.
    pub(super) deliveries: usize,
    /// Bytes of those deliveries.
    pub(super) bytes: usize,
}

impl Mailbox {
    pub(super) fn new() -> Self {
        Self {
            queue: Mutex::default(),
            waker: AtomicWaker::new(),
        }
    }

    /// Posts under a lock: the shard is woken when that is gone.
    pub(super) fn post(self: &Arc<Self>, control: Control, wakes: &mut Wakes) {
        self.push(Command::Control(control), 0, 0, wakes);
    }

    /// Posts a delivery to so many subscribers, under a lock: the shard is woken when that is gone.
    pub(super) fn deliver(
        self: &Arc<Self>,
        delivery: Delivery,
        subscribers: usize,
        wakes: &mut Wakes,
    ) {
        let bytes = subscribers * delivery.broadcast.frame.len();
        self.push(Command::Deliver(delivery), subscribers, bytes, wakes);
    }

    /// Posts and wakes the shard, where no lock is held.
    pub(super) fn send(self: &Arc<Self>, control: Control) {
        self.post(control, &mut Wakes::none());
    }

    fn push(
        self: &Arc<Self>,
        command: Command,
        deliveries: usize,
        bytes: usize,
        wakes: &mut Wakes,
    ) {
        let mut queue = self.queue.lock();
        let was_empty = queue.commands.is_empty();
        queue.commands.push(command);
        queue.deliveries += deliveries;
        queue.bytes += bytes;
        drop(queue);
        if was_empty {
            wakes.0.push(Arc::clone(self));
        }
    }

    /// Exchanges all that waits for `empty`, an emptied queue whose memory is used again.
    pub(super) fn take(&self, empty: Queue) -> Queue {
        std::mem::replace(&mut self.queue.lock(), empty)
    }

    /// Who is to be woken by the next post into the empty mailbox.
    pub(super) fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").finish_non_exhaustive()
    }
}

/// Shards to wake when this is dropped.
pub(super) struct Wakes(SmallVec<[Arc<Mailbox>; 4]>);

impl Wakes {
    fn none() -> Self {
        Self(SmallVec::new())
    }
}

impl Drop for Wakes {
    fn drop(&mut self) {
        for mailbox in &self.0 {
            mailbox.waker.wake();
        }
    }
}

/// A lock under which commands are posted. The shards are woken when it is gone: none of them runs
/// into it.
pub(super) struct Locked<'l, T> {
    // Dropped in this order.
    guard: MutexGuard<'l, T>,
    wakes: Wakes,
}

impl<'l, T> Locked<'l, T> {
    /// Takes the lock.
    pub(super) fn new(lock: &'l Mutex<T>) -> Self {
        Self {
            guard: lock.lock(),
            wakes: Wakes::none(),
        }
    }

    /// What the lock protects, and what to post with.
    pub(super) fn parts(&mut self) -> (&mut T, &mut Wakes) {
        (&mut self.guard, &mut self.wakes)
    }
}
