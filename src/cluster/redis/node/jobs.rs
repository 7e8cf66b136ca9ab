//! What servers are asked, and what the answers are for.

use std::rc::Rc;

use redis::{Cmd, Value};
use tokio::sync::oneshot;

use crate::cluster::redis::channel::Call;
use crate::cluster::redis::entry::NodeId;
use crate::cluster::redis::keys::{self, Topic};
use crate::cluster::redis::link::LinkId;
use crate::cluster::redis::request::Settlement;
use crate::hub::Unavailable;

/// What is asked apart from all else, by how much it is answered with. One batch of each is under way at a
/// time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// Heartbeats, publishes, changes: answered with little.
    Calls,
    /// What channels are, and what was missed of them.
    Sync,
    /// Questions of the HTTP API.
    Questions,
}

impl Lane {
    pub(super) const ALL: [Self; 3] = [Self::Calls, Self::Sync, Self::Questions];
}

/// Something that a server is to be asked.
pub(super) enum Job {
    /// Whatever the channel has to ask.
    Channel(Topic),
    Plain(Plain),
}

/// A call under way.
pub(super) enum Item {
    Channel(Topic, Call),
    Plain(Plain),
}

/// A call was not made, or it is not known what became of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoAnswer;

/// A call that is about no channel.
pub(super) struct Plain {
    pub(super) slot: u16,
    pub(super) lane: Lane,
    pub(super) command: Cmd,
    pub(super) then: Then,
    /// How often it was refused.
    pub(super) tries: u32,
}

/// Connections over which servers were reached since it was last compared what they have.
pub(super) type Reached = Rc<[LinkId]>;

/// What the answer to a call is for.
pub(super) enum Then {
    /// Nobody needs it.
    Nothing,
    /// Another thread waits for it.
    Answer(oneshot::Sender<Result<Value, Unavailable>>),
    /// The topic is among those that the node has to do with.
    Listed(String),
    /// A heartbeat of the node, under this id.
    Heartbeat(NodeId),
    /// The topics that Redis has of the node, under this id.
    CompareLists(NodeId, Reached),
    /// The nodes that are gone, and the topics of one of them.
    Gone(Reached),
    TopicsOfGone(String, Reached),
    /// The topics of a dead node.
    CleanUp(String),
    Settle(Settlement),
    /// How many entries were dropped from a log.
    Trimmed,
    /// Where the node's last entries stood in logs that Redis has forgotten.
    HandedIn,
    /// Whether the node may leave the cluster.
    Goodbye,
}

impl Plain {
    pub(super) fn new(key: String, command: Cmd, then: Then) -> Self {
        Self {
            slot: keys::slot(&key),
            lane: Lane::Calls,
            command,
            then,
            tries: 0,
        }
    }

    /// What nobody waits for who publishes.
    pub(super) fn question(key: String, command: Cmd, then: Then) -> Self {
        Self {
            lane: Lane::Questions,
            ..Self::new(key, command, then)
        }
    }
}
