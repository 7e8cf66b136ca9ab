//! A session whose client is away, and may come back.
//!
//! While it is away all stays as it is: subscriptions, user, watchlist. Once it is back, it is sent
//! nothing of a channel until it has asked for it again, with a signature that is valid now; what it
//! does not ask for again in time is left.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::absence::{CLAIM_WITHIN, Stage};
use super::{Action, Ended, Session, SignOfLife, State};
use crate::protocol::ChannelName;
use crate::protocol::member::{Member, Watchlist};

/// A question of the client that is no older may have waited in its socket, with what followed it.
const JUST_NOW: Duration = Duration::from_secs(1);

impl Session {
    /// The client is gone, perhaps not for ever. Nothing is due before `until`.
    pub fn park(&mut self, until: Instant, now: Instant) {
        let all_claimed = !self.holds_user() && !self.any_held();
        for subscription in self.subscriptions.iter_mut() {
            subscription.held = subscription.state != State::Unwanted;
            subscription.confirming = false;
        }
        self.authorize_by = None;
        self.complete_by = None;
        self.waits_since = None;
        self.write_by = None;
        let user_held = self.user.is_some();
        let absence = self.absence.get_or_insert_default();
        // Whoever comes and goes, and asks for nothing, does not stay for ever.
        absence.claim_left = match absence.stage {
            _ if all_claimed => CLAIM_WITHIN,
            Stage::Claiming(by) => by.saturating_duration_since(now),
            Stage::Away(_) => absence.claim_left,
            Stage::Over => CLAIM_WITHIN,
        };
        absence.stage = Stage::Away(until);
        absence.user_held = user_held;
    }

    /// The client is back.
    pub fn resume(&mut self, sign_of_life: SignOfLife, now: Instant) {
        if let Some(absence) = &mut self.absence {
            absence.stage = Stage::Claiming(now + absence.claim_left);
        }
        self.authorize_by = self
            .app
            .record()
            .authorized_connections_timeout
            .map(|timeout| now + timeout);
        self.heartbeat.begin_again(sign_of_life, now);
    }

    /// The client has missed something on these channels, nobody knows how much.
    pub fn has_missed(&mut self, channels: impl IntoIterator<Item = ChannelName>) {
        let most = self.app.record().limits.channels_per_connection;
        let absence = self.absence.get_or_insert_default();
        let room = most.saturating_sub(absence.lapsed.len());
        absence.lapsed.extend(channels.into_iter().take(room));
    }

    /// Whether the client has missed something on the channel, nobody knows how much. It is notified of that
    /// once.
    pub fn take_lapsed(&mut self, channel: &str) -> bool {
        let absence = self.absence.as_mut();
        absence.is_some_and(|absence| absence.lapsed.remove(channel))
    }

    /// How the client is asked whether it has received what it was sent: by what proves that its page has
    /// handled all before.
    pub fn asks_by(&self) -> SignOfLife {
        match self.heartbeat.sign_of_life() {
            SignOfLife::Frame => SignOfLife::Frame,
            SignOfLife::Message | SignOfLife::Heartbeat => SignOfLife::Message,
        }
    }

    /// When the client last showed that it is there.
    pub fn active_at(&self) -> Instant {
        self.heartbeat.active_at()
    }

    /// Whether the client is silent because its page is frozen, and not because its network is away.
    pub fn is_frozen(&self) -> bool {
        self.heartbeat.is_frozen()
    }

    /// Whether the client may have waited for an answer in vain: it, or the relay, has just asked. A
    /// client that gives up asks first, and what it has sent since comes together when its network is
    /// back.
    pub fn waits_in_vain(&self, now: Instant) -> bool {
        let has_asked = self.pinged_at.is_some_and(|at| now < at + JUST_NOW);
        has_asked || self.heartbeat.waits_in_vain(now)
    }

    /// The channels that it is on.
    pub fn channels(&self) -> Vec<ChannelName> {
        self.subscriptions()
            .map(|(channel, _)| channel.clone())
            .collect()
    }

    /// The channels that it is on, and as which member.
    pub fn subscriptions(&self) -> impl Iterator<Item = (&ChannelName, Option<&Arc<Member>>)> {
        let subscriptions = self.subscriptions.as_slice().iter();
        let live = subscriptions.filter(|subscription| subscription.state == State::Live);
        live.map(|subscription| (&subscription.channel, subscription.member.as_ref()))
    }

    fn any_held(&self) -> bool {
        let mut subscriptions = self.subscriptions.as_slice().iter();
        subscriptions.any(|subscription| subscription.held)
    }

    /// Whether the client is to ask for the channel again before it is sent anything of it.
    pub fn holds(&self, channel: &str) -> bool {
        let subscription = self.subscriptions.get(channel);
        subscription.is_some_and(|subscription| subscription.held)
    }

    /// Whether the client is to sign in again before it is sent what goes to its user.
    pub fn holds_user(&self) -> bool {
        let absence = self.absence.as_ref();
        absence.is_some_and(|absence| absence.user_held)
    }

    pub(super) fn is_away(&self) -> bool {
        self.away_until().is_some()
    }

    pub(super) fn away_until(&self) -> Option<Instant> {
        match self.absence.as_ref()?.stage {
            Stage::Away(until) => Some(until),
            Stage::Claiming(_) | Stage::Over => None,
        }
    }

    pub(super) fn claim_by(&self) -> Option<Instant> {
        match self.absence.as_ref()?.stage {
            Stage::Claiming(by) => Some(by),
            Stage::Away(_) | Stage::Over => None,
        }
    }

    /// The user, if the client has signed in since it came.
    pub(super) fn signed_in_user(&self) -> Option<&Arc<Member>> {
        self.user.as_ref().filter(|_| !self.holds_user())
    }

    /// The client asks again for a channel that it was on when it left.
    pub(super) fn claim(
        &mut self,
        channel: ChannelName,
        member: Option<Arc<Member>>,
        user: Option<Arc<Member>>,
    ) -> Action {
        let (mut actions, sign_in) = self.signed_by_subscription(user);
        let Some(subscription) = self.subscriptions.get_mut(channel.as_str()) else {
            return Action::Nothing;
        };
        subscription.held = false;
        let id = |member: &Option<Arc<Member>>| member.as_ref().map(|m| Arc::clone(m.user_id()));
        let same = id(&subscription.member) == id(&member);
        match subscription.state {
            State::Live if same && sign_in.is_none() => {
                subscription.confirming = true;
                actions.push(Action::Confirm { channel });
            }
            State::Live => {
                // As somebody else: the one leaves, the other comes, and has missed something.
                let left = std::mem::replace(&mut subscription.member, member.clone());
                subscription.state = State::Asked;
                self.unanswered += 1;
                actions.push(Action::Leave {
                    channel: channel.clone(),
                    member: left,
                });
                self.has_missed([channel.clone()]);
                actions.push(Action::Join {
                    channel,
                    member,
                    sign_in,
                });
                return Action::Each(actions);
            }
            // The answer that is on its way is one to this, too.
            State::Asked if same => {}
            State::Asked | State::Unwanted | State::WantedAgain => {
                subscription.state = State::WantedAgain;
                subscription.member = member;
            }
        }
        actions.extend(sign_in.map(|user| Action::SignIn {
            user,
            watchlist: Watchlist::default(),
            is_cut: false,
            reply: None,
        }));
        Action::Each(actions)
    }

    /// What a subscription that was signed for a user means to whom the connection belongs to: what is
    /// to be done first, and the user to sign in.
    pub(super) fn signed_by_subscription(
        &mut self,
        user: Option<Arc<Member>>,
    ) -> (Vec<Action>, Option<Arc<Member>>) {
        let user = user.filter(|_| self.signed_in_user().is_none());
        let Some(user) = user else {
            return (Vec::new(), None);
        };
        let watchlist = self.watchlist.clone().unwrap_or_default();
        if self.claim_user(&user, &watchlist) {
            return (vec![Action::UserIsBack], None);
        }
        let left = self.leave_user();
        self.user = Some(Arc::clone(&user));
        (left.into_iter().collect(), Some(user))
    }

    /// Whether the client signs in again as the user that it was, watching the same users.
    pub(super) fn claim_user(&mut self, user: &Member, watchlist: &Watchlist) -> bool {
        let watches = self.watchlist.clone().unwrap_or_default();
        let is_same = |known: &Arc<Member>| known.user_id() == user.user_id();
        let claims = self.user.as_ref().is_some_and(is_same) && watches == *watchlist;
        match &mut self.absence {
            Some(absence) if claims && absence.user_held => {
                absence.user_held = false;
                true
            }
            _ => false,
        }
    }

    /// The client is no longer the user that it was when it left.
    pub(super) fn leave_user(&mut self) -> Option<Action> {
        let absence = self.absence.as_mut()?;
        if !std::mem::take(&mut absence.user_held) {
            return None;
        }
        Some(Action::LeaveUnclaimed(Box::new(self.end_user())))
    }

    /// What the client has not asked for again, once its time is over.
    pub(super) fn take_unclaimed(&mut self, now: Instant) -> Option<Ended> {
        if self.claim_by().is_none_or(|by| now < by) {
            return None;
        }
        let mut unclaimed = match self.leave_user() {
            Some(Action::LeaveUnclaimed(ended)) => *ended,
            _ => Ended::default(),
        };
        let held = self.subscriptions.iter_mut();
        for subscription in held.filter(|s| s.held && s.state != State::Live) {
            // Whether there is anything to leave is known when the authority has answered.
            subscription.held = false;
            subscription.state = State::Unwanted;
        }
        let left = self.subscriptions.extract(|subscription| subscription.held);
        let left = left.into_iter();
        unclaimed.subscriptions = left.map(|s| (s.channel, s.member)).collect();
        self.absence.as_mut()?.stage = Stage::Over;
        let channels = unclaimed.subscriptions.iter();
        self.has_missed(channels.map(|(channel, _)| channel.clone()));
        let is_nothing = unclaimed.subscriptions.is_empty()
            && unclaimed.user.is_none()
            && unclaimed.watchlist.is_none();
        (!is_nothing).then_some(unclaimed)
    }
}
