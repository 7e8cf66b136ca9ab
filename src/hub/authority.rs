//! Who decides about a channel's transitions.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::app::AppHub;
use super::broadcast::Broadcast;
use super::mailbox::Mailbox;
use super::peer::PeerId;
use crate::protocol::member::{Member, Watchlist};
use crate::protocol::{ChannelName, Frame};
use crate::session::CloseReason;

/// Decides about joins and leaves, and with them about a channel's transitions (occupied and
/// vacated, member added and removed). On a single node it is the directory, under its lock;
/// in a cluster it is a script that all nodes share, and its answer takes a while.
///
/// So nothing is returned: the outcome of a join reaches the connection through its shard's
/// mailbox, as a welcome or a refusal. An implementation keeps the order of one connection's
/// moves on one channel: a leave never overtakes the join before it.
pub trait Authority: fmt::Debug + Send + Sync {
    /// A connection wants to be on a channel. Called once until the leave.
    fn join(&self, app: &Arc<AppHub>, join: Join);

    /// A connection that is on a channel, or has asked to be, wants to hear so again.
    fn confirm(&self, app: &Arc<AppHub>, peer: PeerHandle, channel: ChannelName);

    /// A connection that was let in is no longer on the channel.
    fn leave(&self, app: &Arc<AppHub>, leave: Leave);

    /// An event goes to all subscribers of a channel; with `cache`, it is kept as its last.
    fn publish(&self, app: &Arc<AppHub>, channel: &str, broadcast: Broadcast, cache: bool);

    /// A connection is to be registered as a user's.
    fn sign_in(&self, app: &Arc<AppHub>, sign_in: SignIn);

    /// A connection that was registered as a user's has ended.
    fn sign_out(&self, app: &Arc<AppHub>, peer: PeerHandle, user: &Member);

    /// All connections of a user are to be closed.
    fn close_user(&self, app: &Arc<AppHub>, user_id: &str, reason: CloseReason);
}

/// A connection as seen from other threads.
#[derive(Clone, Debug)]
pub struct PeerHandle {
    /// The mailbox of the connection's shard.
    pub mailbox: Arc<Mailbox>,
    /// Which of the shard's connections it is.
    pub id: PeerId,
}

/// A connection wants to be on a channel.
#[derive(Debug)]
pub struct Join {
    /// The connection.
    pub peer: PeerHandle,
    /// The channel.
    pub channel: ChannelName,
    /// Who the connection is; on presence channels only.
    pub member: Option<Arc<Member>>,
}

/// A connection is no longer on a channel.
#[derive(Debug)]
pub struct Leave {
    /// The connection.
    pub peer: PeerHandle,
    /// The channel.
    pub channel: ChannelName,
    /// Who the connection was, as in its join.
    pub member: Option<Arc<Member>>,
}

/// A connection has proved to be a user's.
#[derive(Debug)]
pub struct SignIn {
    /// The connection.
    pub peer: PeerHandle,
    /// The user.
    pub user: Arc<Member>,
    /// The users that it wants to be told of; none, if it is empty.
    pub watchlist: Watchlist,
    /// What the connection is sent once it is registered.
    pub reply: Frame,
    /// What is wrong with the watchlist, sent behind the reply.
    pub complaint: Option<Frame>,
}

/// The moves as a single node makes them: decided by its own directory, at once.
impl AppHub {
    /// Lets the connection in if the channel has room, and makes known who came.
    pub fn join_locally(self: &Arc<Self>, join: Join) {
        self.channels.join(self, join, None);
    }

    /// Tells the connection again that it is on the channel.
    pub fn confirm_locally(&self, peer: &PeerHandle, channel: &ChannelName) {
        self.channels.confirm(peer, channel);
    }

    /// Lets the connection go, and makes known who left.
    pub fn leave_locally(&self, leave: &Leave) {
        self.channels.leave(leave);
    }

    /// Sends the event to this node's subscribers.
    pub fn publish_locally(&self, channel: &str, broadcast: Broadcast, cache: bool) {
        self.channels.publish(channel, &Arc::new(broadcast), cache);
    }

    /// Registers the connection as the user's, and lets it watch others.
    pub fn sign_in_locally(self: &Arc<Self>, sign_in: SignIn) {
        let SignIn {
            peer,
            user,
            watchlist,
            reply,
            complaint,
        } = sign_in;
        let join = Join {
            peer: peer.clone(),
            channel: ChannelName::server_to_user(user.user_id()),
            member: None,
        };
        let user_id = Arc::clone(user.user_id());
        self.users.join(self, join, Some((user, reply)));
        if let Some(watchlists) = &self.watchlists {
            watchlists.came(&user_id);
            if !watchlist.is_empty() {
                watchlists.watch(self, &peer, &watchlist, complaint);
            }
        }
    }

    /// Takes the connection out of the user's again.
    pub fn sign_out_locally(&self, peer: PeerHandle, user: &Member) {
        if let Some(watchlists) = &self.watchlists {
            watchlists.left(user.user_id(), Instant::now());
        }
        self.users.leave(&Leave {
            peer,
            channel: ChannelName::server_to_user(user.user_id()),
            member: None,
        });
    }

    /// The connection is no longer told of these users. (Who is told is this node's own matter.)
    pub(super) fn unwatch(&self, peer: &PeerHandle, watchlist: &Watchlist) {
        if let Some(watchlists) = &self.watchlists {
            watchlists.unwatch(peer, watchlist);
        }
    }

    /// Closes the user's connections to this node.
    pub fn close_user_locally(&self, user_id: &str, reason: CloseReason) {
        let channel = ChannelName::server_to_user(user_id);
        self.users.close(channel.as_str(), &Arc::new(reason));
    }
}
