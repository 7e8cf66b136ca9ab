//! The moves of a node whose channels are shared: others decide, the node carries out.
//!
//! What they announce is applied here one after the other: rosters and statuses are copies of what all
//! nodes share, and subscribers are notified of exactly the changes that these copies go through.

use std::sync::Arc;

use super::AppHub;
use crate::hub::moves::{Join, Leave, PeerHandle};
use crate::hub::outcome::CachedEvent;
use crate::protocol::member::{Member, Watchlist};
use crate::protocol::{ChannelName, Frame};

impl AppHub {
    /// Lets the connection in, without an announcement to the others.
    pub fn admit_shared(&self, join: Join) {
        self.channels.admit(join);
    }

    /// Tells the connection that the channel is full.
    pub fn refuse_full(&self, join: Join) {
        self.channels.refuse_full(join);
    }

    /// Lets the connection go, without an announcement to the others.
    pub fn dismiss_shared(&self, leave: &Leave) {
        self.channels.dismiss(leave);
    }

    /// A user is present from now on, on a channel that somebody is on or is about to be let into.
    /// Returns whether that is news to this node.
    pub fn member_came(&self, channel: &ChannelName, member: &Arc<Member>) -> bool {
        self.channels.member_came(channel, member)
    }

    /// A user is no longer present. Returns whether that is news to this node.
    pub fn member_went(&self, channel: &ChannelName, user_id: &str) -> bool {
        self.channels.member_went(channel, user_id)
    }

    /// These are the members of the channel, which connections are about to be let into; whoever
    /// is on it already is notified of the differences.
    pub fn set_roster(&self, channel: &ChannelName, members: Vec<Arc<Member>>) {
        self.channels.set_roster(channel, members);
    }

    /// Forgets the channel if nobody is on it.
    pub fn forget_empty(&self, channel: &ChannelName) {
        self.channels.forget_empty(channel);
    }

    /// Tells this node's subscribers how many there are in all.
    pub fn announce_total(&self, channel: &ChannelName, subscribers: usize) {
        self.channels.announce_total(channel, subscribers);
    }

    /// The channel's last event, which others have seen; None if there is none.
    pub fn set_cached(&self, channel: &ChannelName, cached: Option<CachedEvent>) {
        self.channels.set_cached(channel, cached);
    }

    /// Registers the connection as the user's.
    pub fn sign_in_shared(&self, peer: &PeerHandle, user: Arc<Member>, reply: Option<Frame>) {
        self.users.register(peer, user, reply);
    }

    /// Takes the connection out of the user's again.
    pub fn sign_out_shared(&self, peer: &PeerHandle, user: &Member) {
        self.users.remove(peer, user.user_id());
    }

    /// Whether connections of this app may watch users.
    pub fn has_watchlists(&self) -> bool {
        self.watchlists.is_some()
    }

    /// The user is online, or not; those who watch are notified if it is news to this node.
    pub fn set_online(&self, user_id: &Arc<str>, online: bool) {
        if let Some(watchlists) = &self.watchlists {
            watchlists.set_online(user_id, online);
        }
    }

    /// The connection is notified of who of its watchlist is online, and from now on of every change.
    pub fn watch_shared(&self, peer: &PeerHandle, watchlist: &Watchlist, complaint: Option<Frame>) {
        if let Some(watchlists) = &self.watchlists {
            watchlists.watch(peer, watchlist, complaint);
        }
    }
}
