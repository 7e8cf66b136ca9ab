//! A connection that begins, with a session of its own or with that for which its client comes back.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::carried::{Carried, Parts, Times};
use super::downstream::Downstream;
use super::sessions::{Inputs, Listed};
use crate::clients::Permit;
use crate::hub::{AppPermit, Carrier, Fallback, Outlives, Shard};
use crate::protocol::{ChannelName, SocketId, server};
use crate::relay::{Connected, Relay};
use crate::resume::{self, Contender, Entered, Place, Resumable, Tokens};
use crate::session::{Session, SignOfLife, Timeouts};

/// How long a request waits at most for something to be answered: less than proxies do.
const PATIENCE: Duration = Duration::from_secs(25);

/// Where sessions begin.
#[derive(Clone)]
pub(super) struct Home {
    pub(super) relay: Arc<Relay>,
    pub(super) shard: Shard,
    pub(super) tokens: Arc<Tokens>,
    pub(super) timeouts: Arc<Timeouts>,
}

/// A connection that was admitted.
pub(super) struct Opening {
    pub(super) app: AppPermit,
    pub(super) carrying: Carrying,
}

/// What carries a connection, whatever session it gets.
pub(super) struct Carrying {
    pub(super) fallback: Fallback,
    /// The address of who opens it.
    pub(super) client: Option<IpAddr>,
    pub(super) permit: Permit,
    pub(super) inputs: Inputs,
    pub(super) listed: Listed,
    pub(super) activity: Duration,
    pub(super) times: Times,
}

impl Opening {
    /// Begins a session that ends with its connection.
    pub(super) fn begin(self, home: &Home) {
        let connected = home.connect(self.app, &self.carrying, Outlives::No);
        self.carrying.carry(connected, None);
    }

    /// Begins a session of this token, or comes for the one that there is.
    pub(super) fn begin_or_come_back(self, token: Box<str>, home: &Home) {
        match home.tokens.enter(self.app.app(), &token) {
            Entered::New { place, missed } => self.begin_in(place, missed, home),
            Entered::Known(door) => {
                let home = home.clone();
                actix_rt::spawn(async move {
                    if let Err(opening) = resume::hand_over(&door, self).await {
                        opening.begin_anew(&token, &home);
                    }
                });
            }
        }
    }

    /// The session of the token is not to be had: a new one, which has the token if that is free now.
    fn begin_anew(self, token: &str, home: &Home) {
        match home.tokens.enter(self.app.app(), token) {
            Entered::New { place, missed } => self.begin_in(place, missed, home),
            Entered::Known(_) => self.begin(home),
        }
    }

    /// Begins a session that may outlive its connection, and whose client has missed something on these
    /// channels.
    fn begin_in(self, place: Place, missed: Vec<ChannelName>, home: &Home) {
        let connected = home.connect(self.app, &self.carrying, Outlives::Carrier);
        if !missed.is_empty() {
            connected.with_session(|session| session.has_missed(missed));
        }
        self.carrying.carry(connected, Some(Resumable::new(place)));
    }
}

impl Home {
    fn connect(&self, app: AppPermit, carrying: &Carrying, outlives: Outlives) -> Connected {
        let session = Session::new(
            Arc::clone(&app.app().app),
            SocketId::from_random(rand::random()),
            Arc::clone(&self.timeouts),
            SignOfLife::Heartbeat,
            Instant::now(),
        );
        let carrier = Carrier::Requests(carrying.fallback);
        let registration = self.shard.register(app, session, carrier, outlives);
        Connected::new(&self.relay, registration, carrying.client)
    }
}

impl Carrying {
    fn carry(self, connected: Connected, resumable: Option<Resumable>) {
        let activity = self.activity.as_secs().max(1);
        let established = server::connection_established(connected.socket_id(), activity);
        connected.send(&established);
        connected.close_if_app_is_closed();
        let downstream = Downstream::new(self.fallback, PATIENCE.min(self.activity));
        let parts = Parts {
            registration: connected,
            resumable,
            listed: self.listed,
            permit: self.permit,
        };
        let carried = Carried::new(parts, self.inputs, downstream, self.times);
        actix_rt::spawn(carried.run());
    }
}

impl Contender for Opening {
    /// It was admitted as one more.
    fn unless_refused(self: Box<Self>, _: &Connected) -> Option<Box<dyn Contender>> {
        Some(self)
    }

    fn take(self: Box<Self>, mut connected: Connected, place: Place) {
        let carrier = Carrier::Requests(self.carrying.fallback);
        connected.resume(self.app, carrier, SignOfLife::Heartbeat);
        connected.set_address(self.carrying.client);
        self.carrying.carry(connected, Some(Resumable::new(place)));
    }
}
