//! What a connection has asked for was decided: what it is sent of that.

use super::peer::Peer;
use crate::hub::mailbox::{ChannelId, JoinedAs, Watched, Welcome};
use crate::protocol::{Frame, server};
use crate::session::{Answered, Session};

impl Peer {
    /// The authority has let the connection in.
    pub(super) fn on_joined(&self, id: ChannelId, as_what: &JoinedAs) -> Answered {
        match as_what {
            JoinedAs::Subscriber { welcome, .. } => {
                let channel = welcome.channel.as_str();
                let roster = welcome.roster.as_ref();
                // Members on other nodes have a connection each, at least.
                let notified = roster.map_or(0, |members| members.len().max(welcome.listeners));
                let answered = self.with_session(|session| session.joined(channel, notified));
                self.wake_if_waiting();
                if let Answered::Expected = answered
                    && !self.holds(channel)
                {
                    self.send_welcome(welcome, true);
                    self.send_lapsed(id, channel);
                }
                answered
            }
            JoinedAs::User { user, reply } if !self.is_over() && self.is_of(user) => {
                self.with_session(Session::signed_in);
                // If the client has signed in anew since, that is what is answered.
                if let Some(reply) = reply
                    && self.was_last_signed_in_as(user)
                    && !self.holds_user()
                {
                    self.send(reply);
                }
                Answered::Expected
            }
            JoinedAs::User { .. } => Answered::Unwanted,
        }
    }

    /// The connection is notified of the users of its watchlist from now on. False if it is closed, or no
    /// longer wants that.
    pub(super) fn on_watching(&self, watched: &Watched) -> bool {
        if self.is_over() || !self.with_session(|session| session.watching(&watched.watchlist)) {
            return false;
        }
        if !self.holds_user() {
            if let Some(complaint) = &watched.complaint {
                self.send(complaint);
            }
            if let Some(list) = watched.lists.first() {
                self.keep_statuses(*list, &watched.statuses);
            }
            self.send(&watched.statuses);
        }
        true
    }

    /// Tells the connection again that it is on a channel, if it still is.
    pub(super) fn confirm(&self, welcome: &Welcome) {
        if self.is_confirmed(welcome) {
            self.send_welcome(welcome, true);
        }
    }

    /// Whether the connection is still on the channel and waits for that to be confirmed.
    pub(super) fn is_confirmed(&self, welcome: &Welcome) -> bool {
        let name = welcome.channel.as_str();
        self.with_session(|session| session.confirmed(name))
    }

    /// Tells the connection that it is on a channel, on a cache channel `with_last` event.
    pub(super) fn send_welcome(&self, welcome: &Welcome, with_last: bool) {
        let name = welcome.channel.as_str();
        self.send(&match &welcome.roster {
            Some(roster) => server::presence_subscription_succeeded(name, roster),
            None => server::subscription_succeeded(name),
        });
        if welcome.channel.kind().cache && with_last {
            match &welcome.cached {
                Some(event) => self.send(event),
                None => self.send(&server::cache_miss(name)),
            }
        }
    }

    /// The channel's authority has refused the connection.
    pub(super) fn on_refused(&self, channel: &str, error: &Frame) -> Answered {
        let answered = self.with_session(|session| session.refused(channel));
        self.wake_if_waiting();
        if let Answered::Expected = answered {
            self.app().metrics.subscription_errors.inc();
            self.send(error);
        }
        answered
    }

    /// A connection that waits may do so for an answer.
    fn wake_if_waiting(&self) {
        if self.with_session(|session| session.waits()) {
            self.wake();
        }
    }
}
