//! A cluster as time goes by.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::acknowledged::Due;
use super::data::Data;
use super::network::{Network, Run};
use super::plan::{Action, CHANNELS, NOTICES_SETTLE_WITHIN, Plan, RELAYS, USERS};
use super::relay::{Relay, Wish, settings};
use crate::cluster::redis::Settings;
use crate::cluster::redis::node::io::Input;
use crate::cluster::redis::settings::Target;

/// How long ago it may be at most what the server of the channels goes back to.
const GOES_BACK_BY: Duration = Duration::from_secs(120);

/// Has all of a plan happen.
pub(super) fn simulate(plan: &Plan) -> World {
    World::new(plan.seed).live(plan)
}

/// The same on a Redis Cluster.
pub(super) fn simulate_sharded(plan: &Plan) -> World {
    World::sharded(plan.seed).live(plan)
}

/// An event, and who is to get it.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) number: u64,
    pub(super) channel: &'static str,
    pub(super) origin: Run,
    /// Relays whose subscribers are to get it, and have not yet.
    pub(super) missing: BTreeSet<Run>,
    /// Something happened that may cost it.
    pub(super) is_optional: bool,
}

pub(super) struct World {
    pub(super) network: Network,
    pub(super) relays: Vec<Relay>,
    start: Instant,
    saved: Option<Data>,
    runs: u64,
    pub(super) events: Vec<Event>,
    /// Which run was given an event.
    pub(super) origins: BTreeMap<u64, u64>,
    /// The last event before all was well again.
    pub(super) last_of_plan: u64,
    /// What was reported to webhooks of a channel and a user, or of a channel.
    pub(super) notices: BTreeMap<(String, String), Vec<String>>,
    /// What a node has reported, and not acknowledged.
    unacknowledged: BTreeSet<(Run, Due)>,
    /// Whether a node may have been given up, and another one report what it has reported.
    pub(super) was_given_up: bool,
    pub(super) has_forgotten: bool,
    /// Whether a node may have ended, or been given up, or Redis had an older state: what was still to be reported
    /// may be forgotten before any node knows that it has to be.
    pub(super) may_lose_notices: bool,
    last_loss: Option<Duration>,
    /// Until when nodes may not know yet that Redis has forgotten who listens.
    unnoticed_until: Duration,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self::begin(seed, vec![settings(false); RELAYS])
    }

    fn live(mut self, plan: &Plan) -> Self {
        for action in &plan.actions {
            self.act(action);
        }
        self.settle();
        self
    }

    /// On a Redis Cluster.
    pub(super) fn sharded(seed: u64) -> Self {
        Self::begin(seed, vec![settings(true); RELAYS])
    }

    /// Each relay is dead after so much silence.
    pub(super) fn with_timeouts(seed: u64, timeouts: [Duration; RELAYS]) -> Self {
        let settings = timeouts.map(|node_timeout| Settings {
            node_timeout,
            ..settings(false)
        });
        Self::begin(seed, settings.into())
    }

    fn begin(seed: u64, settings: Vec<Settings>) -> Self {
        let start = Instant::now();
        let is_sharded = matches!(settings[0].target, Target::Cluster(_));
        let relay = |index: usize| {
            let run = (index, index as u64);
            Relay::new(run, start, Duration::ZERO, settings[index].clone())
        };
        let mut world = Self {
            network: Network::new(RELAYS, seed, is_sharded),
            relays: (0..RELAYS).map(relay).collect(),
            start,
            saved: None,
            runs: RELAYS as u64,
            events: Vec::new(),
            origins: BTreeMap::new(),
            last_of_plan: 0,
            notices: BTreeMap::new(),
            unacknowledged: BTreeSet::new(),
            was_given_up: false,
            has_forgotten: false,
            may_lose_notices: false,
            last_loss: None,
            unnoticed_until: Duration::ZERO,
        };
        world.pass(Duration::from_secs(1));
        world
    }

    /// Lets time go by.
    pub(super) fn pass(&mut self, time: Duration) {
        let until = self.network.now + time;
        loop {
            let wakes = self.relays.iter().enumerate();
            let wakes = wakes.filter_map(|(index, relay)| Some((relay.wakes_at()?, index)));
            let wake = wakes.min();
            let next = self.network.next_at();
            let at = wake.map(|(at, _)| at).into_iter().chain(next).min();
            let Some(at) = at.filter(|at| *at <= until) else {
                break;
            };
            if next == Some(at) {
                if let Some((run, input)) = self.network.step()
                    && self.relays[run.0].run == run
                {
                    self.relays[run.0].on(Some(input), &mut self.network);
                    self.look(run.0);
                }
            } else if let Some((_, index)) = wake {
                self.network.now = self.network.now.max(at);
                self.relays[index].on(Some(Input::Time), &mut self.network);
                self.look(index);
            }
        }
        self.network.now = until;
    }

    /// Notes what has become of a relay.
    fn look(&mut self, index: usize) {
        for acknowledged in self.network.acknowledged.drain(..) {
            self.unacknowledged.remove(&acknowledged);
        }
        let has_changed = std::mem::take(&mut self.relays[index].has_changed);
        let relay = &self.relays[index];
        for event in self.events.iter_mut().filter(|_| has_changed) {
            let is_over = !relay.is_listening(event.channel)
                || relay.received.events[event.channel].contains(&event.number);
            if is_over {
                event.missing.remove(&relay.run);
            }
        }
        if has_changed {
            self.events.retain(|event| !event.missing.is_empty());
        }
        for notice in relay.take_notices() {
            let notice: serde_json::Value = serde_json::from_str(&notice).unwrap();
            let text = |field: &str| notice[field].as_str().unwrap_or_default().to_owned();
            let about = (text("channel"), text("user_id"));
            if let Some(due) = Due::before(&text("name"), &about.0, &about.1) {
                let is_news = self.unacknowledged.insert((relay.run, due));
                assert!(is_news, "{:?}: reported again: {notice}", relay.run);
            }
            if text("name") != "subscription_count" {
                self.notices.entry(about).or_default().push(text("name"));
            }
        }
    }

    /// Has a relay do something of its own.
    fn run(&mut self, index: usize) {
        self.relays[index].on(None, &mut self.network);
        self.look(index);
    }

    pub(super) fn act(&mut self, action: &Action) {
        let millis = Duration::from_millis;
        match *action {
            Action::Join(relay, channel, user) => {
                let channel = CHANNELS[channel];
                let user = channel.starts_with("presence-").then_some(USERS[user]);
                let wish = Wish::Channel(channel, user);
                self.relays[relay].connect(wish);
                self.run(relay);
            }
            Action::SignIn(relay, user) => {
                let wish = Wish::User(USERS[user]);
                self.relays[relay].connect(wish);
                self.run(relay);
            }
            Action::Leave(relay, which) => {
                self.relays[relay].disconnect(which);
                self.run(relay);
            }
            Action::Publish(relay, channel) => self.publish(relay, CHANNELS[channel]),
            Action::Burst(relay, count) => {
                for _ in 0..count {
                    self.publish(relay, "news");
                    self.pass(millis(3));
                }
            }
            Action::Wait(ms) => self.pass(millis(ms)),
            Action::Cut(relay) => self.network.cut(relay),
            Action::Away(relay, ms) => {
                self.was_given_up = true;
                self.may_lose_notices = true;
                self.network.trouble[relay].away_until = self.network.now + millis(ms);
                self.network.cut(relay);
            }
            Action::Crash(relay) => self.crash(relay),
            Action::Lose(relay, count) => self.network.trouble[relay].lost += count,
            Action::Double(relay, count) => self.network.trouble[relay].doubled += count,
            Action::Late(relay, ms) => self.network.trouble[relay].late = ms,
            Action::AllAway(ms) => {
                self.all_away(millis(ms));
            }
            Action::Forget(ends) => {
                let data = Data::default();
                self.lose_data(data, ends);
            }
            Action::Save => self.saved = Some(self.network.data.clone()),
            Action::FailOver => self.fail_over(),
        }
    }

    fn all_away(&mut self, time: Duration) {
        self.was_given_up = true;
        for relay in 0..RELAYS {
            let until = self.network.now + time;
            let trouble = &mut self.network.trouble[relay];
            trouble.away_until = trouble.away_until.max(until);
            self.network.cut(relay);
        }
    }

    fn fail_over(&mut self) {
        let Some(data) = self.saved.clone() else {
            return;
        };
        let age = self.network.data.now - data.now;
        if !self.network.is_sharded {
            self.may_lose_notices = true;
            self.lose_data(data, true);
        } else if u128::from(age) < GOES_BACK_BY.as_millis() {
            self.channels_go_back(&data);
        }
    }

    /// The server that has the channels fails, and is followed by one that was behind.
    pub(super) fn channels_go_back(&mut self, older: &Data) {
        self.has_forgotten = true;
        self.may_lose_notices = true;
        self.unnoticed_until = self.network.now + Duration::from_secs(3);
        for event in &mut self.events {
            event.is_optional = true;
        }
        self.all_away(Duration::from_millis(20));
        self.network.replace_channels(older);
    }

    fn lose_data(&mut self, data: Data, ends: bool) {
        let since = self.last_loss.map(|at| self.network.now.saturating_sub(at));
        self.may_lose_notices |= since.is_some_and(|since| since < NOTICES_SETTLE_WITHIN);
        self.last_loss = Some(self.network.now);
        self.has_forgotten = true;
        self.unnoticed_until = self.network.now + Duration::from_secs(3);
        for event in &mut self.events {
            event.is_optional = true;
        }
        if ends {
            self.all_away(Duration::from_millis(20));
        }
        self.network.replace_data(data);
    }

    fn crash(&mut self, index: usize) {
        self.was_given_up = true;
        self.may_lose_notices = true;
        let run = self.relays[index].run;
        self.network.forget(run);
        for event in &mut self.events {
            // It may not have passed on what it was given.
            event.is_optional |= event.origin == run;
            event.missing.remove(&run);
        }
        let run = (index, self.runs);
        self.runs += 1;
        let settings = self.relays[index].settings.clone();
        self.relays[index] = Relay::new(run, self.start, self.network.now, settings);
    }

    fn publish(&mut self, index: usize, channel: &'static str) {
        let number = self.last_event() + 1;
        if !self.relays[index].publish(channel, number) {
            let relay = &self.relays[index];
            let may_refuse = relay.may_refuse(&self.network);
            assert!(may_refuse, "{:?}: {channel} refuses an event", relay.run);
            return;
        }
        self.origins.insert(number, self.relays[index].run.1);
        let gets = |relay: &&Relay| {
            let knows = relay.run.0 == index || relay.node.follows("1", channel);
            relay.is_listening(channel) && knows
        };
        let missing = self.relays.iter().filter(gets).map(|relay| relay.run);
        self.events.push(Event {
            number,
            channel,
            origin: self.relays[index].run,
            missing: missing.collect(),
            is_optional: self.network.now < self.unnoticed_until,
        });
        self.run(index);
    }

    /// The number of the last event that a relay has taken.
    fn last_event(&self) -> u64 {
        self.origins.keys().next_back().copied().unwrap_or_default()
    }

    /// Whatever happened, each relay takes events again.
    fn publish_everywhere(&mut self) {
        for relay in 0..RELAYS {
            for channel in CHANNELS {
                self.publish(relay, channel);
            }
        }
        self.pass(Duration::from_secs(1));
    }

    /// Nothing goes wrong any more, and in a while nothing is wrong.
    pub(super) fn settle(&mut self) {
        for trouble in &mut self.network.trouble {
            trouble.late = 0;
            trouble.lost = 0;
            trouble.doubled = 0;
            trouble.away_until = Duration::ZERO;
        }
        self.pass(Duration::from_secs(14));
        // Whoever has missed a message notices at the next.
        for relay in 0..RELAYS {
            let wishes: Vec<Wish> = self.relays[relay]
                .clients
                .values()
                .map(|client| client.wish.clone())
                .collect();
            for (index, wish) in wishes.iter().enumerate() {
                if !wishes[..index].contains(wish) {
                    self.relays[relay].connect(wish.clone());
                }
            }
            self.run(relay);
            self.pass(Duration::from_millis(300));
        }
        // What was forgotten is waited for before it is reported as gone.
        let doubts = if self.has_forgotten { 16 } else { 8 };
        self.pass(Duration::from_secs(doubts));
        self.check();
        self.last_of_plan = self.last_event();
        self.publish_everywhere();
        self.check_delivered();
    }
}
