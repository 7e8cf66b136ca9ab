//! The moves of a node whose channels are shared: others decide, the node carries out.
//!
//! What they tell is applied here one after the other: rosters and statuses are copies of what all
//! nodes share, and subscribers hear of exactly the changes that these copies go through.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::app::AppHub;
use super::authority::{Join, Leave, PeerHandle};
use super::directory::Directory;
use super::mailbox::Wakes;
use crate::protocol::member::{Member, Watchlist};
use crate::protocol::{ChannelName, Frame, server};

impl AppHub {
    /// Lets the connection in, without a word to the others.
    pub fn admit_shared(self: &Arc<Self>, join: Join) {
        self.channels.admit(self, join, None);
    }

    /// Tells the connection that the channel is full.
    pub fn refuse_full(&self, join: Join) {
        self.channels.refuse_full(join, &mut Wakes::default());
    }

    /// Lets the connection go, without a word to the others.
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
    /// is on it already hears of the differences.
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
    pub fn set_cached(&self, channel: &ChannelName, cached: Option<(Frame, Duration)>) {
        self.channels.set_cached(channel, cached);
    }

    /// Registers the connection as the user's.
    pub fn sign_in_shared(
        self: &Arc<Self>,
        peer: PeerHandle,
        user: Arc<Member>,
        reply: Option<Frame>,
    ) {
        let channel = ChannelName::server_to_user(user.user_id());
        let join = Join {
            peer,
            channel,
            member: None,
        };
        self.users.admit(self, join, Some((user, reply)));
    }

    /// Takes the connection out of the user's again.
    pub fn sign_out_shared(&self, peer: PeerHandle, user: &Member) {
        self.users.dismiss(&Leave {
            peer,
            channel: ChannelName::server_to_user(user.user_id()),
            member: None,
        });
    }

    /// Whether connections of this app may watch users.
    pub fn has_watchlists(&self) -> bool {
        self.watchlists.is_some()
    }

    /// The user is online, or not; those who watch hear of it if it is news to this node.
    pub fn set_online(&self, user_id: &Arc<str>, online: bool) {
        if let Some(watchlists) = &self.watchlists {
            watchlists.set_online(user_id, online);
        }
    }

    /// The connection is told who of its watchlist is online, and from now on of every change.
    pub fn watch_shared(
        self: &Arc<Self>,
        peer: &PeerHandle,
        watchlist: &Watchlist,
        complaint: Option<Frame>,
    ) {
        if let Some(watchlists) = &self.watchlists {
            watchlists.watch(self, peer, watchlist, complaint);
        }
    }
}

impl Directory {
    fn member_came(&self, channel: &ChannelName, member: &Arc<Member>) -> bool {
        let mut wakes = Wakes::default();
        let mut slot = self.slot(channel.as_str());
        let entry = self.entry(&mut slot, channel);
        let is_new = entry.roster.insert(member);
        if is_new && !self.is_silent() {
            let added = server::member_added(channel.as_str(), member);
            entry.listeners.announce(added, &mut wakes);
        }
        is_new
    }

    fn member_went(&self, channel: &ChannelName, user_id: &str) -> bool {
        let mut wakes = Wakes::default();
        let mut slot = self.slot(channel.as_str());
        let Some(entry) = slot.get_mut(channel.as_str()) else {
            return false;
        };
        let Some(member) = entry.roster.remove(user_id) else {
            return false;
        };
        if !self.is_silent() {
            let removed = server::member_removed(channel.as_str(), &member);
            entry.listeners.announce(removed, &mut wakes);
        }
        true
    }

    fn set_roster(&self, channel: &ChannelName, members: Vec<Arc<Member>>) {
        let mut wakes = Wakes::default();
        let mut slot = self.slot(channel.as_str());
        let entry = self.entry(&mut slot, channel);
        let (came, went) = entry.roster.replace(members);
        for member in went {
            let removed = server::member_removed(channel.as_str(), &member);
            entry.listeners.announce(removed, &mut wakes);
        }
        for member in came {
            let added = server::member_added(channel.as_str(), &member);
            entry.listeners.announce(added, &mut wakes);
        }
    }

    fn forget_empty(&self, channel: &ChannelName) {
        let mut slot = self.slot(channel.as_str());
        if let Some(entry) = slot.get(channel.as_str())
            && entry.listeners.is_empty()
        {
            self.forget(&mut slot, channel);
        }
    }

    fn announce_total(&self, channel: &ChannelName, subscribers: usize) {
        let mut wakes = Wakes::default();
        let slot = self.slot(channel.as_str());
        if let Some(entry) = slot.get(channel.as_str()) {
            let count = server::subscription_count(channel.as_str(), subscribers);
            entry.listeners.announce(count, &mut wakes);
        }
    }

    fn set_cached(&self, channel: &ChannelName, cached: Option<(Frame, Duration)>) {
        // Under the channel's lock, as in a publish: who joins finds the one or the other.
        let _slot = self.slot(channel.as_str());
        self.set_cached_event(channel.as_str(), cached, Instant::now());
    }
}
