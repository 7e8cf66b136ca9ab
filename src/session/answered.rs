//! What becomes of a subscription when the channel's authority has answered, and when the client
//! leaves.

use std::sync::Arc;

use super::{Action, Session, State, allowance};
use crate::metrics::MessageKind;
use crate::protocol::member::Member;

/// What an authority's answer means to the connection that asked.
#[derive(Debug)]
pub enum Answered {
    /// It is what the connection waits for.
    Expected,
    /// The connection no longer wants to be on the channel.
    Unwanted,
    /// The connection has left since and wants to join anew, as this member.
    AskAgain(Option<Arc<Member>>),
}

impl Session {
    /// The channel's authority has let the connection in. On a presence channel, so many connections are notified
    /// of who comes and leaves.
    pub fn joined(&mut self, channel: &str, notified: usize) -> Answered {
        self.charge_announcements(notified);
        let answered = self.answered(channel);
        if let (Answered::Expected, Some(subscription)) =
            (&answered, self.subscriptions.get_mut(channel))
        {
            subscription.state = State::Live;
            subscription.notified = u32::try_from(notified).unwrap_or(u32::MAX);
        }
        answered
    }

    /// Every connection on the channel is notified of one who comes or leaves.
    fn charge_announcements(&mut self, notified: usize) {
        let cost = allowance::cost_of_announcements(notified);
        self.allowance
            .charge_more(MessageKind::Presence, cost, &self.app.record().limits);
    }

    /// The connection is on the channel, and that is confirmed again.
    pub fn confirmed(&mut self, channel: &str) -> bool {
        match self.subscriptions.get_mut(channel) {
            // (A client that has gone meanwhile, or has come back since, must ask for it first.)
            Some(subscription) if !subscription.held => {
                subscription.confirming = false;
                subscription.state == State::Live
            }
            Some(_) => false,
            None => false,
        }
    }

    /// The channel's authority has refused the subscription.
    pub fn refused(&mut self, channel: &str) -> Answered {
        let answered = self.answered(channel);
        if let Answered::Expected = answered {
            self.subscriptions.remove(channel);
        }
        answered
    }

    fn answered(&mut self, channel: &str) -> Answered {
        let Some(subscription) = self.subscriptions.get_mut(channel) else {
            return Answered::Unwanted;
        };
        match subscription.state {
            State::Live => Answered::Expected,
            State::Asked => {
                self.unanswered = self.unanswered.saturating_sub(1);
                Answered::Expected
            }
            State::Unwanted => {
                self.unanswered = self.unanswered.saturating_sub(1);
                self.subscriptions.remove(channel);
                Answered::Unwanted
            }
            State::WantedAgain => {
                subscription.state = State::Asked;
                Answered::AskAgain(subscription.member.as_ref().map(Arc::clone))
            }
        }
    }

    pub(super) fn on_unsubscribe(&mut self, channel: &str) -> Action {
        let Some(subscription) = self.subscriptions.get_mut(channel) else {
            return Action::Nothing;
        };
        subscription.held = false;
        if subscription.state != State::Live {
            // Whether there is anything to leave is known when the authority has answered.
            subscription.state = State::Unwanted;
            return Action::Nothing;
        }
        match self.subscriptions.remove(channel) {
            Some(subscription) => {
                self.charge_announcements(subscription.notified as usize);
                Action::Leave {
                    channel: subscription.channel,
                    member: subscription.member,
                }
            }
            None => Action::Nothing,
        }
    }
}
