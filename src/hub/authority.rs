//! Who decides about a channel's transitions.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::answer::Answer;
use super::app::AppHub;
use super::backlog::Admission;
use super::broadcast::Broadcast;
use super::directory::ChannelState;
use super::idempotency::{SharedClaim, SharedTurn};
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

    /// An event goes to all subscribers of a channel; with `cache`, it is kept as its last. It
    /// was let in by [`Authority::admit`].
    fn publish(
        &self,
        app: &Arc<AppHub>,
        channel: &str,
        broadcast: Broadcast,
        cache: bool,
        admission: &Admission,
    ) -> Receipt;

    /// A connection is to be registered as a user's.
    fn sign_in(&self, app: &Arc<AppHub>, sign_in: SignIn);

    /// A connection that was registered as a user's has ended.
    fn sign_out(&self, app: &Arc<AppHub>, peer: PeerHandle, user: &Member);

    /// All connections of a user are to be closed.
    fn close_user(&self, app: &Arc<AppHub>, user_id: &str, reason: CloseReason) -> Receipt;

    /// A connection that watched users has ended.
    fn unwatch(&self, app: &Arc<AppHub>, peer: &PeerHandle, watchlist: &Watchlist) {
        app.unwatch_locally(peer, watchlist);
    }

    /// Whether an event may be wanted where this node does not see it.
    fn reaches_beyond(&self) -> bool {
        false
    }

    /// Lets events of so many bytes in, before they are posted anywhere, unless too much waits
    /// for other nodes already.
    fn admit(&self, _bytes: usize) -> Result<Admission, Unavailable> {
        Ok(Admission::default())
    }

    /// What is known about a channel; `cached` asks for its last event too.
    fn channel(&self, app: &Arc<AppHub>, channel: &str, cached: bool) -> Answer<ChannelReport> {
        Answer::Now(app.channel_locally(channel, cached))
    }

    /// The occupied channels whose name begins so, with what is known about them.
    fn channels(
        &self,
        app: &Arc<AppHub>,
        prefix: &str,
        cached: bool,
    ) -> Answer<Vec<(ChannelName, ChannelReport)>> {
        Answer::Now(app.channels_locally(prefix, cached))
    }

    /// The ids of a presence channel's members.
    fn members(&self, app: &Arc<AppHub>, channel: &str) -> Answer<Vec<Arc<str>>> {
        Answer::Now(app.members_locally(channel))
    }

    /// Asks those who share idempotency keys for one that nobody on this node publishes under.
    fn claim(&self, _app: &Arc<AppHub>, _key: &str) -> Answer<SharedClaim> {
        Answer::Now(SharedClaim::Granted(SharedTurn::of_nobody()))
    }

    /// Whether the node is where it belongs.
    fn standing(&self) -> Standing {
        Standing::Well
    }

    /// Why it is not, where more is known than [`Standing`] says. It may be shown to anybody.
    fn trouble(&self) -> Option<String> {
        None
    }
}

/// Whether a node can do all that it is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It can.
    Well,
    /// It has lost the others, and goes on with what it knows.
    Away,
    /// It is not let to them, and takes nothing that is for them, too.
    Refused,
    /// It has never reached them, and knows nothing yet.
    NotYet,
}

/// What is asked for cannot be had now, or not in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// Too much waits for the other nodes.
    #[error("too many events are waiting for the other nodes (cluster.backlog_bytes)")]
    BacklogFull,
    /// What only all nodes together know cannot be looked up.
    #[error("the relay has lost its connection to Redis, where the nodes keep what they share")]
    Away,
    /// What was looked up makes no sense.
    #[error("Redis gave the relay an answer that this version cannot read")]
    Unreadable,
    /// Somebody else has begun to publish under the same idempotency key, and has not ended.
    #[error(
        "another publish under this idempotency key has not ended, or it is not known yet how it did"
    )]
    KeyTaken,
    /// The node is leaving the others.
    #[error("the relay is going away")]
    Leaving,
    /// The node is not let to the others.
    #[error("Redis does not let the relay do all that it needs (/ready says what)")]
    Refused,
    /// The node has not found the others since it started.
    #[error("the relay has not reached Redis yet, where the nodes keep what they share")]
    NotYet,
}

/// Becomes ready when an event is where all nodes find it, or is kept for them until then.
#[derive(Debug, Default)]
#[must_use = "the publisher's answer waits for it"]
pub struct Receipt(Option<tokio::sync::oneshot::Receiver<()>>);

impl Receipt {
    /// Nothing is to be waited for.
    pub fn at_once() -> Self {
        Self(None)
    }

    /// Ready when the sender sends, or is dropped.
    pub fn pending(receiver: tokio::sync::oneshot::Receiver<()>) -> Self {
        Self(Some(receiver))
    }

    /// Whether there is something to wait for.
    pub fn is_pending(&self) -> bool {
        self.0.is_some()
    }

    /// Waits for it. Fails if the node goes before the event is where the others find it.
    pub async fn settled(self) -> Result<(), Unavailable> {
        match self.0 {
            Some(receiver) => receiver.await.map_err(|_| Unavailable::Leaving),
            None => Ok(()),
        }
    }
}

/// What is known about a channel, with its last event if it was asked for.
#[derive(Clone, Debug, Default)]
pub struct ChannelReport {
    /// Who is on it.
    pub state: ChannelState,
    /// The last event of a cache channel, and for how long it is still kept.
    pub cached: Option<(Frame, Duration)>,
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
    /// What the connection is sent once it is registered; nothing, if it did not ask.
    pub reply: Option<Frame>,
    /// What is wrong with the watchlist, sent behind the reply.
    pub complaint: Option<Frame>,
    /// What the connection joins once it is registered, so that whoever is told that it is there can
    /// be sure that it can be ended as the user's.
    pub join: Option<Join>,
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
            join: next,
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
        if let Some(join) = next {
            self.join_locally(join);
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

    /// The connection is no longer told of these users.
    pub fn unwatch_locally(&self, peer: &PeerHandle, watchlist: &Watchlist) {
        if let Some(watchlists) = &self.watchlists {
            watchlists.unwatch(peer, watchlist);
        }
    }

    /// What this node knows about the channel.
    pub fn channel_locally(&self, channel: &str, cached: bool) -> ChannelReport {
        ChannelReport {
            state: self.channel_state(channel),
            cached: cached.then(|| self.channels.cached(channel)).flatten(),
        }
    }

    /// What this node knows about the channels whose name begins so.
    pub fn channels_locally(
        &self,
        prefix: &str,
        cached: bool,
    ) -> Vec<(ChannelName, ChannelReport)> {
        let list = self.channels.list(prefix).into_iter();
        list.map(|(name, state)| {
            let wanted = cached && name.kind().cache;
            let cached = wanted.then(|| self.channels.cached(name.as_str()));
            let cached = cached.flatten();
            (name, ChannelReport { state, cached })
        })
        .collect()
    }

    /// The members of a presence channel that this node knows.
    pub fn members_locally(&self, channel: &str) -> Vec<Arc<str>> {
        let members = self.channels.members(channel);
        let ids = members.iter().map(|member| Arc::clone(member.user_id()));
        ids.collect()
    }

    /// Closes the user's connections to this node.
    pub fn close_user_locally(&self, user_id: &str, reason: CloseReason) {
        let channel = ChannelName::server_to_user(user_id);
        self.users.close(channel.as_str(), &Arc::new(reason));
    }
}
