//! One connection's protocol state machine: messages and time in, actions out, no IO.
//!
//! - [`Session`]: who the connection is, what it is subscribed to, when it is due
//! - [`Action`]: what a message asks the relay to do
//! - [`bucket`], [`allowance`]: how many client events, and how many messages, a connection may
//!   send
//! - [`SignOfLife`]: how a silent client is asked whether it is there

mod action;
mod allowance;
mod bucket;
mod heartbeat;
mod subscribe;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use action::{Action, CloseReason, Overload};
use allowance::Allowance;
use bucket::Bucket;
use foldhash::fast::RandomState;
use heartbeat::Heartbeat;
pub use heartbeat::SignOfLife;

use crate::apps::App;
use crate::auth::channel as signature;
use crate::metrics::MessageKind;
use crate::protocol::client::{self, ClientEvent, ClientMessage};
use crate::protocol::member::{self, Member, MemberError, MemberLimits, Watchlist};
use crate::protocol::{ChannelName, CloseCode, SocketId, json, server};

/// Times that are the same for every connection of the relay.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Silence after which the relay asks whether anybody is there.
    pub activity: Duration,
    /// How long it waits for the answer.
    pub pong: Duration,
    /// How long a message may take from its first byte to its last.
    pub message: Duration,
    /// How long a socket may take nothing of what waits for it.
    pub write: Duration,
}

/// The state of one established connection.
#[derive(Debug)]
pub struct Session {
    app: Arc<App>,
    socket_id: SocketId,
    subscriptions: HashMap<ChannelName, Subscription, RandomState>,
    user: Option<Arc<Member>>,
    registered_as_user: bool,
    /// The users that it is told of.
    watchlist: Option<Watchlist>,
    client_events: Bucket,
    allowance: Allowance,
    /// Subscriptions that the authority has not answered yet.
    unanswered: u32,
    /// Since when the connection is not read, because of what it has sent.
    waits_since: Option<Instant>,
    /// Since when the socket has taken nothing of what waits for it.
    stalled_since: Option<Instant>,
    heartbeat: Heartbeat,
    /// When a connection must have authorised itself; None once it has, or if it need not.
    authorize_by: Option<Instant>,
    /// When the message that has begun must be complete.
    complete_by: Option<Instant>,
}

/// One subscription of a connection.
#[derive(Debug)]
struct Subscription {
    member: Option<Arc<Member>>,
    state: State,
    /// Whether it is to be confirmed once more: one answer is enough for all who ask until then.
    confirming: bool,
    /// The members of the presence channel when the connection came.
    members: u32,
}

/// Subscriptions that may wait for the authority before a connection is read no further.
const MOST_UNANSWERED: u32 = 256;

/// How far a subscription has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The channel's authority has been asked and may still refuse.
    Asked,
    /// As `Asked`, but the client no longer wants it.
    Unwanted,
    /// As `Unwanted`, but the client wants it anew, perhaps as another member: it is asked for
    /// again when the answer has come.
    WantedAgain,
    /// subscription_succeeded was sent.
    Live,
}

impl Session {
    /// A session that begins now. `signers` are the app's key pairs.
    pub fn new(
        app: Arc<App>,
        socket_id: SocketId,
        timeouts: Timeouts,
        sign_of_life: SignOfLife,
        now: Instant,
    ) -> Self {
        Self {
            client_events: Bucket::full(app.limits.client_events_per_second, now),
            heartbeat: Heartbeat::new(timeouts, sign_of_life, now),
            authorize_by: app
                .authorized_connections_timeout
                .map(|timeout| now + timeout),
            subscriptions: HashMap::default(),
            allowance: Allowance::full(now),
            unanswered: 0,
            waits_since: None,
            stalled_since: None,
            complete_by: None,
            user: None,
            registered_as_user: false,
            watchlist: None,
            socket_id,
            app,
        }
    }

    /// The id that the connection was given.
    pub fn socket_id(&self) -> SocketId {
        self.socket_id
    }

    /// The user that the connection signed in as.
    pub fn user(&self) -> Option<&Arc<Member>> {
        self.user.as_ref()
    }

    /// Something was received, whatever it was.
    pub fn on_received(&mut self, now: Instant) {
        self.heartbeat.received(now);
    }

    /// The next time at which [`Session::on_time`] has something to do.
    pub fn deadline(&self) -> Instant {
        let limits = &self.app.limits;
        let waits = self.waits_since.is_some();
        [
            self.authorize_by,
            self.complete_by
                .filter(|_| !waits || self.is_over_allowance()),
            self.write_by(),
            waits.then(|| self.allowance.free_at(limits)),
            self.allowance.overrun_at(limits).filter(|_| waits),
        ]
        .into_iter()
        .flatten()
        .fold(self.heartbeat.deadline(), Instant::min)
    }

    /// A WebSocket ping or pong, or a part of a message, was received.
    pub fn on_frame(&mut self, kind: MessageKind, now: Instant) {
        self.allowance.charge(kind, 1, &self.app.limits, now);
    }

    /// Whether what was received must be done with before more is read: more came than the
    /// connection may send in the time, or too much waits for the authority. The connection
    /// waits, if so, until [`Session::may_read_on`].
    pub fn must_wait(&mut self, now: Instant) -> Option<WaitsFor> {
        let waits_for = if self.allowance.is_exceeded(&self.app.limits, now) {
            WaitsFor::Allowance(self.allowance.wait(now))
        } else if self.unanswered >= MOST_UNANSWERED {
            WaitsFor::Answers
        } else {
            return None;
        };
        self.wait(now);
        Some(waits_for)
    }

    /// The connection waits, and is not read, until [`Session::read_on`].
    pub fn wait(&mut self, now: Instant) {
        self.waits_since.get_or_insert(now);
    }

    /// Whether the connection waits.
    pub fn waits(&self) -> bool {
        self.waits_since.is_some()
    }

    /// Whether a connection that waits need not do so any longer; it is read on, then.
    pub fn may_read_on(&mut self, now: Instant) -> bool {
        let may = self.unanswered <= MOST_UNANSWERED / 2
            && !self.allowance.is_exceeded(&self.app.limits, now);
        if may {
            self.read_on(now);
        }
        may
    }

    /// The wait is over. It was not the client that was silent, or slow, meanwhile.
    pub fn read_on(&mut self, now: Instant) {
        self.heartbeat.alive(now);
        let waited = self
            .waits_since
            .take()
            .filter(|_| !self.is_over_allowance());
        if let (Some(since), Some(by)) = (waited, &mut self.complete_by) {
            *by += now.saturating_duration_since(since);
        }
    }

    /// Whether the client itself keeps its messages waiting: that gives it no more time for them.
    fn is_over_allowance(&self) -> bool {
        self.allowance.overrun_at(&self.app.limits).is_some()
    }

    /// All that the client has sent was read.
    pub fn on_all_read(&mut self) {
        self.allowance.all_read();
    }

    /// Something waits for the socket, which has taken some of it or nothing since the last
    /// call. Returns whether the wait has just begun, which may bring the deadline closer.
    pub fn on_write_blocked(&mut self, progress: bool, now: Instant) -> bool {
        let begins = self.stalled_since.is_none();
        if begins || progress {
            self.stalled_since = Some(now);
        }
        begins
    }

    /// Nothing waits for the socket.
    pub fn on_written(&mut self) {
        self.stalled_since = None;
    }

    /// A message has begun to arrive, or goes on to. Returns whether it has just begun, which
    /// may bring the deadline closer.
    pub fn on_partial_message(&mut self, now: Instant) -> bool {
        let begins = self.complete_by.is_none();
        let timeout = self.heartbeat.timeouts().message;
        self.complete_by.get_or_insert(now + timeout);
        begins
    }

    /// No message is incomplete.
    pub fn on_whole_message(&mut self) {
        self.complete_by = None;
    }

    /// Time has passed.
    pub fn on_time(&mut self, now: Instant) -> Action {
        if self.authorize_by.is_some_and(|by| by <= now) {
            return Action::close(
                CloseCode::Unauthorized,
                "the connection did not sign in or subscribe to an authorised channel in time",
            );
        }
        if let Some(action) = self.on_flood_or_stall(now) {
            return action;
        }
        let waits = self.waits_since.is_some();
        if waits {
            self.heartbeat.alive(now);
        }
        if waits && !self.is_over_allowance() {
            return Action::Nothing;
        }
        if self.complete_by.is_some_and(|by| by <= now) {
            return Action::close(
                CloseCode::ProtocolError,
                "a message took too long to arrive",
            );
        }
        self.heartbeat.on_time(now)
    }

    /// The client takes nothing, or sends too much, and has done so for too long.
    fn on_flood_or_stall(&self, now: Instant) -> Option<Action> {
        let limits = &self.app.limits;
        let over = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        let (cause, text) = if over(self.write_by()) {
            let seconds = self.heartbeat.timeouts().write.as_secs();
            let text = format!("the client took nothing for {seconds} seconds (write_timeout)");
            (Overload::Stall, text)
        } else if self.waits_since.is_some() && over(self.allowance.overrun_at(limits)) {
            let most = limits.messages_per_second;
            let text = format!("more than {most} messages a second (messages_per_second)");
            (Overload::Flood(self.allowance.exceeded_by()), text)
        } else {
            return None;
        };
        let reason = CloseReason::new(CloseCode::OverCapacity, text);
        Some(Action::CloseOverload { cause, reason })
    }

    /// When the socket must have taken something.
    fn write_by(&self) -> Option<Instant> {
        let timeout = self.heartbeat.timeouts().write;
        self.stalled_since.map(|since| since + timeout)
    }

    /// One text message was received.
    pub fn on_text(&mut self, text: &str, now: Instant) -> Action {
        self.heartbeat.alive(now);
        self.complete_by = None;
        let (kind, action) = client::parse(text, |message| match message {
            Ok(ClientMessage::Ping) => (MessageKind::Ping, Action::Send(server::pong())),
            Ok(ClientMessage::Pong) => (MessageKind::Ping, Action::Nothing),
            Ok(ClientMessage::Subscribe(request)) => {
                (MessageKind::Subscribe, self.on_subscribe(&request))
            }
            Ok(ClientMessage::Unsubscribe { channel }) => {
                (MessageKind::Unsubscribe, self.on_unsubscribe(&channel))
            }
            Ok(ClientMessage::Signin { auth, user_data }) => {
                (MessageKind::Signin, self.on_signin(&auth, &user_data))
            }
            Ok(ClientMessage::ClientEvent(event)) => {
                (MessageKind::ClientEvent, self.on_client_event(&event, now))
            }
            Err(error) => {
                let message = error.to_string();
                let mistake = Action::Mistake {
                    code: None,
                    message,
                };
                (MessageKind::Malformed, mistake)
            }
        });
        // Client events that pass have a rate of their own.
        if !matches!(action, Action::ClientEvent { .. }) {
            let cost = allowance::cost_of_text(text.len());
            self.allowance.charge(kind, cost, &self.app.limits, now);
        }
        action
    }

    fn on_unsubscribe(&mut self, channel: &str) -> Action {
        let Some(subscription) = self.subscriptions.get_mut(channel) else {
            return Action::Nothing;
        };
        if subscription.state != State::Live {
            // Whether there is anything to leave is known when the authority has answered.
            subscription.state = State::Unwanted;
            return Action::Nothing;
        }
        match self.subscriptions.remove_entry(channel) {
            Some((channel, subscription)) => {
                self.charge_announcements(subscription.members as usize);
                Action::Leave {
                    channel,
                    member: subscription.member,
                }
            }
            None => Action::Nothing,
        }
    }

    fn on_signin(&mut self, auth: &str, user_data: &str) -> Action {
        let refuse =
            |reason: String| Action::Close(CloseReason::new(CloseCode::Unauthorized, reason));
        if let Err(error) = signature::verify_user(&self.app.keys, auth, self.socket_id, user_data)
        {
            return refuse(format!("sign-in: {error}"));
        }
        let user = match member::parse_user_data(user_data, self.member_limits()) {
            Ok(user) => user.member,
            Err(error) => return refuse(format!("sign-in: {error}")),
        };
        let (watchlist, is_cut) = match self.watchlist_in(user_data) {
            Ok(watchlist) => watchlist,
            Err(error) => return refuse(format!("sign-in: {error}")),
        };
        self.authorize_by = None;
        let reply = server::signin_success(user_data);
        match &self.user {
            None => {
                self.user = Some(Arc::clone(&user));
                Action::SignIn {
                    user,
                    watchlist,
                    is_cut,
                    reply,
                }
            }
            Some(known) if known.user_id() == user.user_id() => Action::Send(reply),
            Some(_) => refuse("the connection is signed in as another user".into()),
        }
    }

    fn member_limits(&self) -> MemberLimits {
        let limits = &self.app.limits;
        MemberLimits {
            user_id_length: limits.presence_user_id_length,
            user_info_bytes: limits.presence_user_info_bytes,
        }
    }

    /// The users of a watchlist that count, each once, and whether there are more.
    fn watchlist_in(&self, user_data: &str) -> Result<(Watchlist, bool), MemberError> {
        if !self.app.watchlist {
            return Ok((Watchlist::default(), false));
        }
        let mut named = member::parse_watchlist(user_data)?;
        let mut seen = HashSet::with_capacity(named.len());
        named.retain(|user_id| !user_id.is_empty() && seen.insert(Arc::clone(user_id)));
        let most = self.app.limits.watchlist_users;
        let is_cut = named.len() > most;
        named.truncate(most);
        Ok((named.into(), is_cut))
    }

    fn on_client_event(&mut self, event: &ClientEvent<'_>, now: Instant) -> Action {
        match self.check_client_event(event, now) {
            Ok((channel, sender)) => Action::ClientEvent {
                frame: server::client_event(
                    &event.event,
                    channel.as_str(),
                    event.data,
                    sender.as_deref(),
                ),
                channel,
            },
            Err(reason) => Action::Mistake {
                code: Some(CloseCode::ClientEventRejected),
                message: format!("client event rejected: {reason}"),
            },
        }
    }

    fn check_client_event(
        &mut self,
        event: &ClientEvent<'_>,
        now: Instant,
    ) -> Result<(ChannelName, Option<Arc<Member>>), String> {
        let limits = &self.app.limits;
        if !self.app.client_events {
            return Err("client events are not enabled for this app".into());
        }
        let (channel, subscription) = self
            .subscriptions
            .get_key_value(&*event.channel)
            .filter(|(_, subscription)| subscription.state == State::Live)
            .ok_or("the connection is not subscribed to the channel")?;
        if !channel.kind().takes_client_events() {
            return Err(
                "they are only allowed on private and presence channels that are not encrypted"
                    .into(),
            );
        }
        let name_length = event.event.chars().count();
        if name_length > limits.event_name_length {
            return Err(format!(
                "the event name has {name_length} characters, at most {} are allowed (event_name_length)",
                limits.event_name_length
            ));
        }
        if let Some(data) = event.data {
            let length = if json::is_string(data) {
                json::decoded_len(data.get())
            } else {
                data.get().len()
            };
            if length > limits.event_data_bytes {
                return Err(format!(
                    "data has {length} bytes, at most {} are allowed (event_data_bytes)",
                    limits.event_data_bytes
                ));
            }
        }
        if !self.client_events.take(now) {
            return Err(format!(
                "at most {} client events a second are allowed (client_events_per_second)",
                limits.client_events_per_second
            ));
        }
        let sender = subscription.member.as_ref();
        Ok((channel.clone(), sender.map(Arc::clone)))
    }

    /// The channel's authority has let the connection in, to so many members on a presence
    /// channel.
    pub fn joined(&mut self, channel: &str, members: usize) -> Answered {
        self.charge_announcements(members);
        let answered = self.answered(channel);
        if let (Answered::Expected, Some(subscription)) =
            (&answered, self.subscriptions.get_mut(channel))
        {
            subscription.state = State::Live;
            subscription.members = u32::try_from(members).unwrap_or(u32::MAX);
        }
        answered
    }

    /// Every member is told of one who comes or leaves.
    fn charge_announcements(&mut self, members: usize) {
        let cost = allowance::cost_of_announcements(members);
        self.allowance
            .charge_more(MessageKind::Presence, cost, &self.app.limits);
    }

    /// The connection is on the channel, and is told so again.
    pub fn confirmed(&mut self, channel: &str) -> bool {
        match self.subscriptions.get_mut(channel) {
            Some(subscription) => {
                subscription.confirming = false;
                subscription.state == State::Live
            }
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

    /// Whether the connection is on the channel.
    pub fn is_subscribed(&self, channel: &str) -> bool {
        self.subscriptions
            .get(channel)
            .is_some_and(|subscription| subscription.state == State::Live)
    }

    /// The relay has registered the connection as its user's.
    pub fn signed_in(&mut self) {
        self.registered_as_user = true;
    }

    /// The connection is told of these users.
    pub fn watching(&mut self, watchlist: Watchlist) {
        self.watchlist = Some(watchlist);
    }

    /// Ends the session: hands over what has to be announced as left. What its authority has
    /// not answered yet is undone when the answer finds nobody.
    pub fn end(&mut self) -> Ended {
        let subscriptions = std::mem::take(&mut self.subscriptions)
            .into_iter()
            .filter(|(_, subscription)| subscription.state == State::Live)
            .map(|(channel, subscription)| (channel, subscription.member))
            .collect();
        let registered = std::mem::take(&mut self.registered_as_user);
        Ended {
            subscriptions,
            user: self.user.take().filter(|_| registered),
            watchlist: self.watchlist.take(),
        }
    }
}

/// Why a connection is not read for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitsFor {
    /// It has sent more than it may in the time; this was too much.
    Allowance(MessageKind),
    /// The authority has not answered what it asked for.
    Answers,
}

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

/// What a session leaves behind.
#[derive(Debug)]
pub struct Ended {
    /// The channels it was on, and as whom.
    pub subscriptions: Vec<(ChannelName, Option<Arc<Member>>)>,
    /// The user that it was registered as.
    pub user: Option<Arc<Member>>,
    /// The users that it was told of.
    pub watchlist: Option<Watchlist>,
}

#[cfg(test)]
mod tests;
