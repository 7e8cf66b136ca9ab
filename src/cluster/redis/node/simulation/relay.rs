//! One relay of a simulated cluster, with its connections and what they get.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::network::{Network, Run};
use super::plan::{CHANNELS, USERS};
use super::written::number_of;
use crate::apps::{App, ChannelFilter, Registry, Source, Webhook, WebhookEvent, WebhookUrl};
use crate::auth::Signer;
use crate::cluster::redis::node::io::Input;
use crate::cluster::redis::node::state::Node;
use crate::cluster::redis::settings::Target;
use crate::cluster::redis::{Redis, Settings};
use crate::hub::testing::{Posted, TestShard};
use crate::hub::{
    AppHub, Authority, Broadcast, Caching, Hub, Join, Knowledge, Leave, SignIn, Standing,
};
use crate::metrics::{EventLoss, LossOn, Metrics};
use crate::protocol::member::Member;
use crate::protocol::server::{self, EventData};
use crate::protocol::{ChannelKind, ChannelName, Frame};
use crate::webhooks::testing::Notices;

/// How long a relay that has started may take to find Redis where it can be reached.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// What a connection is there for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// To be on a channel, as a user on presence channels.
    Channel(&'static str, Option<&'static str>),
    /// To be signed in as this user, and to watch all.
    User(&'static str),
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) wish: Wish,
    pub(super) is_in: bool,
    is_watching: bool,
    pub(super) is_leaving: bool,
}

/// What the connections of a relay have received.
#[derive(Default)]
pub(super) struct Received {
    /// Numbers of events as subscribers got them, since the channel's first was admitted.
    pub(super) events: BTreeMap<&'static str, Vec<u64>>,
    /// Members as subscribers know them.
    pub(super) rosters: BTreeMap<&'static str, BTreeSet<String>>,
    pub(super) counts: BTreeMap<&'static str, u64>,
    pub(super) online: BTreeMap<String, bool>,
}

pub(super) struct Relay {
    pub(super) run: Run,
    pub(super) node: Node,
    pub(super) app: Arc<AppHub>,
    hub: Hub,
    authority: Arc<Redis>,
    shard: TestShard,
    notices: Notices,
    start: Instant,
    started: Duration,
    /// Whether it has found Redis.
    was_well: bool,
    pub(super) settings: Settings,
    pub(super) clients: BTreeMap<u64, Client>,
    next_client: u64,
    pub(super) received: Received,
    /// Whether its connections got anything, or have changed, since this was last looked at.
    pub(super) has_changed: bool,
}

fn known(channel: &str) -> &'static str {
    CHANNELS
        .into_iter()
        .find(|known| *known == channel)
        .unwrap()
}

fn app() -> App {
    let mut app = App::new("1", Signer::new("key", b"secret"));
    app.subscription_count = true;
    app.watchlist = true;
    app.webhooks.push(Webhook {
        url: WebhookUrl::parse("http://localhost/").unwrap(),
        events: WebhookEvent::ALL.into_iter().collect(),
        batch: true,
        headers: http::HeaderMap::new(),
        filter: ChannelFilter::default(),
    });
    app
}

/// How a relay is set up that shares a Redis, or a Redis Cluster.
pub(super) fn settings(is_sharded: bool) -> Settings {
    let mut settings = Settings {
        // So little that nodes miss what has left a log.
        log_bytes: 64 << 10,
        ..Settings::default()
    };
    if let (Target::Single(info), true) = (&settings.target, is_sharded) {
        settings.target = Target::Cluster(vec![info.clone()]);
    }
    settings
}

impl Relay {
    pub(super) fn new(run: Run, start: Instant, now: Duration, settings: Settings) -> Self {
        let metrics = Metrics::new();
        let authority = Arc::new(Redis::new(settings.clone(), &metrics).unwrap());
        let registry = Registry::new(vec![app()]).unwrap();
        let (webhooks, notices) = Notices::new();
        let hub = Hub::new(&registry, &webhooks, metrics, 1000);
        let app = hub.app("1").unwrap();
        let apps = Arc::clone(hub.apps());
        let rng = StdRng::seed_from_u64(run.1 * 1000 + run.0 as u64);
        let (shared, numbers) = (Arc::clone(&authority.shared), authority.metrics.clone());
        let node = Node::new(settings.clone(), shared, numbers, apps, rng, start + now);
        Self {
            run,
            node,
            app,
            hub,
            authority,
            shard: TestShard::new(),
            notices,
            start,
            started: now,
            was_well: false,
            settings,
            clients: BTreeMap::new(),
            next_client: 0,
            received: Received::default(),
            has_changed: false,
        }
    }

    /// It knows no app from now on, or the app again.
    pub(super) fn know_app(&self, knows: bool) {
        let apps = knows.then(app).map(Arc::new);
        self.hub
            .set_apps(Source::Configuration, apps.into_iter().collect());
    }

    /// Whether it has read which apps there are.
    pub(super) fn set_knowledge(&self, knowledge: Knowledge) {
        self.hub.apps().set_knowledge(knowledge);
    }

    /// When the node looks after something next.
    pub(super) fn wakes_at(&self) -> Option<Duration> {
        Some(self.node.wakes_at()?.saturating_duration_since(self.start))
    }

    /// The node deals with something, and with all that comes of it here.
    pub(super) fn on(&mut self, input: Option<Input>, network: &mut Network) {
        let now = self.start + network.now;
        if let Some(input) = input {
            self.node.on(input, now);
        }
        loop {
            let requests = self.authority.shared.requests.take(Vec::new());
            let posted = self.shard.take();
            if requests.is_empty() && posted.is_empty() {
                break;
            }
            for request in requests {
                self.node.on(Input::Request(request), now);
            }
            for posted in posted {
                self.on_posted(posted);
            }
        }
        for io in self.node.take_io() {
            network.start(self.run, io, &self.settings.target);
        }
        self.was_well |= self.is_well();
    }

    /// Whether it is connected to Redis, and shares what it has with the others.
    pub(super) fn is_well(&self) -> bool {
        self.authority.standing() == Standing::Well
    }

    /// Whether it may refuse events: until it has found Redis, which it does soon after it can.
    pub(super) fn may_refuse(&self, network: &Network) -> bool {
        let trouble = &network.trouble[self.run.0];
        let reachable_since = trouble.away_until.max(trouble.cut_at).max(self.started);
        !self.was_well && network.now < reachable_since + READY_WITHIN
    }

    fn on_posted(&mut self, posted: Posted) {
        self.has_changed = true;
        match posted {
            Posted::Joined(id, channel, roster) => {
                let channel = known(&channel);
                assert!(
                    !self.is_well() || self.node.follows("1", channel),
                    "{:?}: admitted to {channel}, which is not known",
                    self.run
                );
                let roster: BTreeSet<String> = roster.into_iter().collect();
                if !self.is_listening(channel) {
                    self.received.events.insert(channel, Vec::new());
                    self.received.rosters.insert(channel, roster.clone());
                    self.received.counts.remove(channel);
                }
                let known = &self.received.rosters[channel];
                assert_eq!(*known, roster, "{:?}: a welcome to {channel}", self.run);
                self.is_in(id);
            }
            Posted::SignedIn(id, _) => self.is_in(id),
            // There are fewer users than a channel may have.
            Posted::Refused(_, channel) => panic!("{:?}: {channel} refuses a join", self.run),
            Posted::Message(channel, payload) => self.on_message(known(&channel), &payload),
            Posted::Watching(payload) => {
                self.on_status(&payload);
                for client in self.clients.values_mut() {
                    client.is_watching |= client.is_in && matches!(client.wish, Wish::User(_));
                }
                self.let_go();
            }
            Posted::Status(payload) => self.on_status(&payload),
        }
    }

    fn is_in(&mut self, id: u64) {
        if let Some(client) = self.clients.get_mut(&id) {
            client.is_in = true;
            client.is_watching |= matches!(client.wish, Wish::Channel(..));
        }
        self.let_go();
    }

    fn on_message(&mut self, channel: &'static str, payload: &str) {
        let message: serde_json::Value = serde_json::from_str(payload).unwrap();
        let data = message["data"].as_str().unwrap_or_default();
        let of_data = |field: &str| -> serde_json::Value {
            serde_json::from_str::<serde_json::Value>(data).unwrap()[field].clone()
        };
        let run = self.run;
        match message["event"].as_str().unwrap() {
            "e" => {
                let number = number_of(data);
                let events = self.received.events.entry(channel).or_default();
                assert!(
                    !events.contains(&number),
                    "{run:?}: event {number} came twice on {channel}"
                );
                events.push(number);
            }
            "pusher_internal:subscription_count" => {
                let count = of_data("subscription_count").as_u64().unwrap();
                self.received.counts.insert(channel, count);
            }
            event => {
                let user = of_data("user_id").as_str().unwrap().to_owned();
                let is_gone = event == "pusher_internal:member_removed";
                assert!(
                    !is_gone || !self.is_member_here(channel, &user),
                    "{run:?}: {user} is announced as gone from {channel}, and is here"
                );
                let roster = self.received.rosters.entry(channel).or_default();
                let is_news = match event {
                    "pusher_internal:member_added" => roster.insert(user.clone()),
                    _ => roster.remove(&user),
                };
                assert!(is_news, "{run:?}: {event} of {user} on {channel} again");
            }
        }
    }

    fn on_status(&mut self, payload: &str) {
        let message: serde_json::Value = serde_json::from_str(payload).unwrap();
        let data = message["data"].as_str().unwrap();
        let data: serde_json::Value = serde_json::from_str(data).unwrap();
        for status in data["events"].as_array().unwrap() {
            for user in status["user_ids"].as_array().unwrap() {
                let is_online = status["name"] == "online";
                let user = user.as_str().unwrap().to_owned();
                self.received.online.insert(user, is_online);
            }
        }
    }

    /// Whether a connection is on the channel.
    pub(super) fn is_listening(&self, channel: &str) -> bool {
        let is_on = |client: &Client| matches!(client.wish, Wish::Channel(on, _) if on == channel);
        let mut clients = self.clients.values();
        clients.any(|client| client.is_in && is_on(client))
    }

    /// Whether one of its connections is on the channel as the user.
    fn is_member_here(&self, channel: &str, user: &str) -> bool {
        let is_it = |wish: &Wish| matches!(wish, Wish::Channel(on, Some(as_user)) if *on == channel && *as_user == user);
        let mut clients = self.clients.values();
        clients.any(|client| client.is_in && is_it(&client.wish))
    }

    /// Whether somebody watches users.
    pub(super) fn is_watching(&self) -> bool {
        let mut clients = self.clients.values();
        clients.any(|client| client.is_watching && matches!(client.wish, Wish::User(_)))
    }

    pub(super) fn connect(&mut self, wish: Wish) {
        let id = self.next_client;
        self.next_client += 1;
        let peer = self.shard.peer(id);
        match &wish {
            Wish::Channel(channel, user) => {
                let join = Join {
                    peer,
                    channel: ChannelName::parse(channel, 100).unwrap(),
                    member: user.map(|user| Arc::new(Member::new(user, None))),
                };
                self.authority.join(&self.app, join);
            }
            Wish::User(user) => {
                let sign_in = SignIn {
                    peer,
                    user: Arc::new(Member::new(user, None)),
                    watchlist: USERS.map(Arc::from).into_iter().collect(),
                    reply: None,
                    complaint: None,
                    join: None,
                };
                self.authority.sign_in(&self.app, sign_in);
            }
        }
        let client = Client {
            wish,
            is_in: false,
            is_watching: false,
            is_leaving: false,
        };
        self.clients.insert(id, client);
    }

    /// One of the connections ends, as soon as it has been admitted.
    pub(super) fn disconnect(&mut self, which: usize) {
        let staying = self
            .clients
            .values_mut()
            .filter(|client| !client.is_leaving);
        let staying: Vec<_> = staying.collect();
        let count = staying.len();
        if let Some(client) = staying.into_iter().nth(which % count.max(1)) {
            client.is_leaving = true;
            self.let_go();
        }
    }

    fn let_go(&mut self) {
        self.has_changed = true;
        let can_go = |client: &Client| client.is_leaving && client.is_in && client.is_watching;
        let going = self.clients.iter().filter(|(_, client)| can_go(client));
        let going: Vec<u64> = going.map(|(id, _)| *id).collect();
        for id in going {
            let Some(client) = self.clients.remove(&id) else {
                continue;
            };
            let peer = self.shard.peer(id);
            match client.wish {
                Wish::Channel(channel, user) => {
                    let leave = Leave {
                        peer,
                        channel: ChannelName::parse(channel, 100).unwrap(),
                        member: user.map(|user| Arc::new(Member::new(user, None))),
                    };
                    self.authority.leave(&self.app, leave);
                }
                Wish::User(user) => {
                    let watchlist = USERS.map(Arc::from).into_iter().collect();
                    self.authority.unwatch(&self.app, &peer, &watchlist);
                    let user = Member::new(user, None);
                    self.authority.sign_out(&self.app, peer, &user);
                }
            }
        }
    }

    /// Publishes an event with this number; false: it is refused.
    pub(super) fn publish(&mut self, channel: &str, number: u64) -> bool {
        let Ok(admission) = self.authority.admit(100) else {
            return false;
        };
        // Some are so large that few of them are read at once.
        let padding = if number.is_multiple_of(3) { 6000 } else { 1 };
        let data = EventData::from_text(&format!("{number} {}", "x".repeat(padding)));
        let frame: Frame = server::event("e", channel, &data);
        let room = self.app.room().try_reserve(1, 1).unwrap();
        let broadcast = Broadcast::reserved(frame, None, room);
        let receipt =
            self.authority
                .publish(&self.app, channel, broadcast, Caching::None, &admission);
        drop(receipt);
        true
    }

    /// Entries of channels of this kind that it counts as lost.
    pub(super) fn lost(&self, channel: &str) -> u64 {
        let kind = LossOn::from(ChannelKind::of(channel).access);
        let lost = &self.authority.metrics.events_lost;
        let reasons = [
            EventLoss::Expired,
            EventLoss::Uncounted,
            EventLoss::Forgotten,
        ];
        reasons
            .map(|reason| lost.with((reason, kind)).get())
            .iter()
            .sum()
    }

    pub(super) fn take_notices(&self) -> Vec<String> {
        self.notices.take()
    }
}
