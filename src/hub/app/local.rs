//! The moves of a single node: its own directory decides, at once.

use std::sync::Arc;
use std::time::Instant;

use super::AppHub;
use crate::hub::broadcast::{Broadcast, Caching};
use crate::hub::moves::{Join, Leave, PeerHandle, SignIn};
use crate::hub::outcome::{ChannelReport, Detail};
use crate::protocol::member::{Member, Watchlist};
use crate::protocol::{ChannelName, Frame};
use crate::session::CloseReason;

impl AppHub {
    /// Lets the connection in if the channel has room, and makes known who came.
    pub fn join_locally(&self, join: Join) {
        self.channels.join(join);
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
    pub fn publish_locally(&self, channel: &str, broadcast: Broadcast, caching: Caching) {
        self.channels
            .publish(channel, &Arc::new(broadcast), caching);
    }

    /// Registers the connection as the user's, and lets it watch others.
    pub fn sign_in_locally(&self, sign_in: SignIn) {
        let SignIn {
            peer,
            user,
            watchlist,
            reply,
            complaint,
            join: next,
        } = sign_in;
        let user_id = Arc::clone(user.user_id());
        self.users.register(&peer, user, reply);
        if let Some(watchlists) = &self.watchlists {
            watchlists.came(&user_id);
            if !watchlist.is_empty() {
                watchlists.watch(&peer, &watchlist, complaint);
            }
        }
        if let Some(join) = next {
            self.join_locally(join);
        }
    }

    /// Takes the connection out of the user's again.
    pub fn sign_out_locally(&self, peer: &PeerHandle, user: &Member) {
        if let Some(watchlists) = &self.watchlists {
            watchlists.left(user.user_id(), Instant::now());
        }
        self.users.remove(peer, user.user_id());
    }

    /// The connection is no longer notified of these users.
    pub fn unwatch_locally(&self, peer: &PeerHandle, watchlist: &Watchlist) {
        if let Some(watchlists) = &self.watchlists {
            watchlists.unwatch(peer, watchlist);
        }
    }

    /// The connection was to be notified of these users, and never was.
    pub fn undo_watch_locally(&self, peer: &PeerHandle, watchlist: &Watchlist) {
        if let Some(watchlists) = &self.watchlists {
            watchlists.undo_watch(peer, watchlist);
        }
    }

    /// Users that anybody watches.
    #[cfg(test)]
    pub(in crate::hub) fn watched_users(&self) -> usize {
        let watchlists = self.watchlists.as_ref();
        watchlists.map_or(0, |watchlists| watchlists.watched())
    }

    /// Who of these users is online, for a connection that is notified of them.
    pub(in crate::hub) fn statuses(&self, watchlist: &Watchlist) -> Option<Frame> {
        let watchlists = self.watchlists.as_ref()?;
        Some(watchlists.statuses(watchlist))
    }

    /// What this node knows about the channel.
    pub fn channel_locally(&self, channel: &str, detail: Detail) -> ChannelReport {
        ChannelReport {
            state: self.channel_state(channel),
            cached: match detail {
                Detail::State => None,
                Detail::StateAndLastEvent => self.channels.cached(channel),
            },
        }
    }

    /// What this node knows about the channels whose name begins so.
    pub fn channels_locally(
        &self,
        prefix: &str,
        detail: Detail,
    ) -> Vec<(ChannelName, ChannelReport)> {
        let list = self.channels.list(prefix).into_iter();
        list.map(|(name, state)| {
            let cached = match detail {
                Detail::StateAndLastEvent if name.kind().cache => {
                    self.channels.cached(name.as_str())
                }
                Detail::State | Detail::StateAndLastEvent => None,
            };
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
        self.users.close(user_id, &Arc::new(reason));
    }
}
