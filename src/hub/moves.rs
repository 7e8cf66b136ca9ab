//! What a connection asks for.

use std::sync::Arc;

use super::mailbox::{Mailbox, PeerId};
use crate::protocol::member::{Member, Watchlist};
use crate::protocol::{ChannelName, Frame};

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
    /// The users of whom it wants to be notified; none, if it is empty.
    pub watchlist: Watchlist,
    /// What the connection is sent once it is registered; nothing, if it did not ask.
    pub reply: Option<Frame>,
    /// What is wrong with the watchlist, sent behind the reply.
    pub complaint: Option<Frame>,
    /// What the connection joins once it is registered, so that whoever is notified that it is there can
    /// be sure that it can be ended as the user's.
    pub join: Option<Join>,
}
