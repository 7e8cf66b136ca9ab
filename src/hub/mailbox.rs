//! What shards are told, in order.

use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use smallvec::SmallVec;

use super::app::AppHub;
use super::broadcast::Broadcast;
use super::peer::PeerId;
use crate::protocol::member::{Member, Watchlist};
use crate::protocol::{ChannelName, Frame};
use crate::session::CloseReason;

/// A channel (or signed-in user) from its first connection to its last. Numbers are never used
/// again, so what is still on its way to an old one cannot reach a new one of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ChannelId(pub(super) u64);

/// What another thread, or this one, asks of a shard.
#[derive(Debug)]
pub(super) enum Command {
    /// Send this to the channel's local subscribers.
    Deliver {
        channel: ChannelId,
        broadcast: Arc<Broadcast>,
    },
    /// A connection is on the channel from here on, unless it is gone or has changed its mind.
    Join {
        peer: PeerId,
        channel: ChannelId,
        joined: Box<Joined>,
    },
    /// Tell a connection again that it is on a channel.
    Confirm { peer: PeerId, welcome: Box<Welcome> },
    /// A connection may not be on the channel.
    Refuse {
        peer: PeerId,
        channel: ChannelName,
        error: Frame,
    },
    /// A connection is no longer on the channel.
    Leave { peer: PeerId, channel: ChannelId },
    /// A connection is told of these users from here on, unless it is gone.
    Watch { peer: PeerId, watched: Box<Watched> },
    /// A connection is no longer told of users.
    Unwatch { peer: PeerId, lists: Vec<ChannelId> },
    /// Close all local connections on the channel.
    Close {
        channel: ChannelId,
        reason: Arc<CloseReason>,
    },
    /// Close all connections of the shard.
    CloseEveryone { reason: Arc<CloseReason> },
}

/// A join that the authority has granted.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) app: Arc<AppHub>,
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

/// What a connection that watches users is told at first.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) app: Arc<AppHub>,
    pub(super) watchlist: Watchlist,
    /// What the shards know the watched users by, in the same order.
    pub(super) lists: Vec<ChannelId>,
    pub(super) complaint: Option<Frame>,
    pub(super) statuses: Frame,
}

/// What a new subscriber is told. The state was copied under the channel's lock; putting it
/// into words is left to the subscriber's own thread.
#[derive(Debug)]
pub(super) struct Welcome {
    pub(super) channel: ChannelName,
    /// The members, on presence channels.
    pub(super) roster: Option<Vec<Arc<Member>>>,
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

    /// Posts under a directory lock: the shard is woken later, when `wakes` is dropped.
    pub(super) fn post(self: &Arc<Self>, command: Command, wakes: &mut Wakes) {
        self.post_deliveries(command, 0, 0, wakes);
    }

    /// Posts a command that stands for so many deliveries of so many bytes each.
    pub(super) fn post_deliveries(
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
        queue.bytes += deliveries * bytes;
        drop(queue);
        if was_empty {
            wakes.0.push(Arc::clone(self));
        }
    }

    /// Posts and wakes the shard, where no lock is held.
    pub(super) fn send(self: &Arc<Self>, command: Command) {
        self.post(command, &mut Wakes::default());
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

/// Shards to wake. Declared before a lock is taken, it wakes them after the lock is gone.
#[derive(Default)]
pub(super) struct Wakes(SmallVec<[Arc<Mailbox>; 4]>);

impl Drop for Wakes {
    fn drop(&mut self) {
        for mailbox in &self.0 {
            mailbox.waker.wake();
        }
    }
}

/// How often a shard looks at its connections' deadlines.
pub(super) const TICK: Duration = Duration::from_millis(250);
