//! One connection's protocol state machine: messages and time in, actions out, no IO.
//!
//! - [`Session`]: who the connection is, what it is subscribed to, when it is due
//! - [`Action`]: what a message asks the relay to do
//! - [`allowance`]: how many messages a connection may send
//! - [`Timeouts`]: times that are the same for every connection
//! - [`SignOfLife`], [`heartbeat`]: how a silent client is asked whether it is there
//! - [`parking`], [`absence`]: a session whose client is away, and may come back
//! - [`subscribe`], [`answered`]: a subscription, from being asked for to its end
//! - [`sign_in`], [`client_event`]: what else a client asks for
//! - [`Ended`]: what a session leaves behind
//! - [`pace`]: a client that sends more than it may, or takes less than it must

mod absence;
mod action;
mod allowance;
mod answered;
mod client_event;
mod ended;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod heartbeat;
mod pace;
mod parking;
mod sign_in;
mod sign_of_life;
mod subscribe;
mod timeouts;

use std::sync::Arc;
use std::time::Instant;

use absence::Absence;
pub use action::{Action, CloseReason, Overload};
use allowance::Allowance;
pub use answered::Answered;
pub use ended::Ended;
use foldhash::fast::RandomState;
use heartbeat::Heartbeat;
pub use pace::WaitsFor;
pub use sign_of_life::SignOfLife;
pub use timeouts::Timeouts;

use crate::apps::LiveApp;
use crate::memory::{Dense, Keyed};
use crate::metrics::MessageKind;
use crate::net::rate::Bucket;
use crate::protocol::client::{self, ClientMessage};
use crate::protocol::member::{Member, Watchlist};
use crate::protocol::{ChannelName, CloseCode, SocketId, server};

/// The state of one established connection.
#[derive(Debug)]
pub struct Session {
    app: Arc<LiveApp>,
    socket_id: SocketId,
    subscriptions: Dense<Subscription, RandomState>,
    user: Option<Arc<Member>>,
    /// How often the relay has registered the connection as its user's.
    registrations: u32,
    /// The users of whom it has asked to be notified.
    watchlist: Option<Watchlist>,
    /// Whether it is.
    is_watching: bool,
    /// How many client events it may still send.
    client_events: Bucket,
    allowance: Allowance,
    /// Subscriptions that the authority has not answered yet.
    unanswered: u32,
    /// Since when the connection is not read, because of what it has sent.
    waits_since: Option<Instant>,
    /// When the socket must have taken more of what waits for it.
    write_by: Option<Instant>,
    heartbeat: Heartbeat,
    /// When a connection must have authorised itself; None once it has, or if it need not.
    authorize_by: Option<Instant>,
    /// When the message that has begun must be complete.
    complete_by: Option<Instant>,
    /// When the client last asked whether the relay is there.
    pinged_at: Option<Instant>,
    /// What its client has not asked for again, if it is away or has been.
    absence: Option<Box<Absence>>,
}

/// One subscription of a connection.
#[derive(Debug)]
struct Subscription {
    channel: ChannelName,
    member: Option<Arc<Member>>,
    state: State,
    /// Whether it is to be confirmed once more: one answer is enough for all who ask until then.
    confirming: bool,
    /// Whether the client is, or was, away and has not asked for it again: until it has, it is sent
    /// nothing of the channel.
    held: bool,
    /// The connections on the presence channel when this one came.
    notified: u32,
}

impl Keyed for Subscription {
    type Key = str;

    fn key(&self) -> &str {
        self.channel.as_str()
    }
}

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
    /// A session that begins now.
    pub fn new(
        app: Arc<LiveApp>,
        socket_id: SocketId,
        timeouts: Arc<Timeouts>,
        sign_of_life: SignOfLife,
        now: Instant,
    ) -> Self {
        let record = app.record();
        Self {
            client_events: Bucket::full(now),
            heartbeat: Heartbeat::new(timeouts, sign_of_life, now),
            authorize_by: record
                .authorized_connections_timeout
                .map(|timeout| now + timeout),
            subscriptions: Dense::default(),
            allowance: Allowance::full(now),
            unanswered: 0,
            waits_since: None,
            write_by: None,
            complete_by: None,
            pinged_at: None,
            absence: None,
            user: None,
            registrations: 0,
            watchlist: None,
            is_watching: false,
            socket_id,
            app,
        }
    }

    /// The id that the connection was given.
    pub fn socket_id(&self) -> SocketId {
        self.socket_id
    }

    /// What the connection may take its time for.
    pub fn timeouts(&self) -> &Timeouts {
        self.heartbeat.timeouts()
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
        if let Some(until) = self.away_until() {
            return until;
        }
        let limits = &self.app.record().limits;
        let waits = self.waits_since.is_some();
        [
            self.authorize_by,
            self.complete_by
                .filter(|_| !waits || self.is_over_allowance()),
            self.write_by,
            waits.then(|| self.allowance.free_at(limits)),
            self.allowance.overrun_at(limits).filter(|_| waits),
            self.claim_by(),
        ]
        .into_iter()
        .flatten()
        .fold(self.heartbeat.deadline(), Instant::min)
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

    /// The relay did not run until then: what its client did not do meanwhile is not held against it.
    pub fn on_standstill(&mut self, ended_at: Instant) {
        self.heartbeat.on_standstill(ended_at);
    }

    /// Time has passed.
    pub fn on_time(&mut self, now: Instant) -> Action {
        if self.is_away() {
            return Action::Nothing;
        }
        if let Some(unclaimed) = self.take_unclaimed(now) {
            return Action::LeaveUnclaimed(Box::new(unclaimed));
        }
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

    /// One text message was received.
    pub fn on_text(&mut self, text: &str, now: Instant) -> Action {
        self.heartbeat.alive(now);
        self.complete_by = None;
        let (kind, action) = client::parse(text, |message| match message {
            Ok(ClientMessage::Ping) => {
                self.pinged_at = Some(now);
                (MessageKind::Ping, Action::Send(server::pong()))
            }
            Ok(ClientMessage::Pong) => (MessageKind::Ping, Action::Pong),
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
            let limits = &self.app.record().limits;
            self.allowance.charge(kind, cost, limits, now);
        }
        action
    }

    /// Whether the connection is on the channel.
    #[cfg(any(test, feature = "fuzzing"))]
    pub fn is_subscribed(&self, channel: &str) -> bool {
        self.subscriptions
            .get(channel)
            .is_some_and(|subscription| subscription.state == State::Live && !subscription.held)
    }

    /// Ends the session: hands over what has to be announced as left. What its authority has
    /// not answered yet is undone when the answer finds nobody.
    pub fn end(&mut self) -> Ended {
        let subscriptions = std::mem::take(&mut self.subscriptions)
            .into_vec()
            .into_iter()
            .filter(|subscription| subscription.state == State::Live)
            .map(|subscription| (subscription.channel, subscription.member))
            .collect();
        Ended {
            subscriptions,
            ..self.end_user()
        }
    }
}

#[cfg(test)]
mod tests;
