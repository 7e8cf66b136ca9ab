//! The servers of Redis: reaching them, and knowing which of them has what.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rand::{Rng, RngExt as _};
use redis::{ConnectionInfo, Pipeline, RedisResult};

use super::calls::{Job, NoAnswer};
use super::discovery::Discovered;
use super::io::{Io, Use};
use super::lanes::{Lane, Lanes};
use super::{KEEPS_FOR, Node, Timer};
use crate::cluster::redis::channel::Asked;
use crate::cluster::redis::keys::{self, Topic};
use crate::cluster::redis::link::{LinkId, Unusable};
use crate::cluster::redis::rights::Lack;
use crate::cluster::redis::settings::Target;
use crate::throttle::Throttle;

/// Topics that are asked for together at most.
const TOPICS_AT_ONCE: usize = 512;
/// How long until a server is tried again: growing, with chance in it.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How often the servers are looked for at most.
const DISCOVERS_EVERY: Duration = Duration::from_millis(100);

pub(super) struct Servers {
    target: Target,
    list: Vec<Server>,
    slots: Option<Box<[u16]>>,
    next_link: u64,
    is_discovering: bool,
    discovered_at: Option<Instant>,
    failures: u32,
    troubles: Throttle,
}

struct Server {
    address: String,
    info: ConnectionInfo,
    state: State,
    failures: u32,
    lanes: Lanes,
    topics: VecDeque<(Topic, bool)>,
    is_listening: bool,
    is_loading: bool,
    connected_at: Instant,
    pinged_at: Instant,
}

enum State {
    Down,
    Connecting,
    Up(LinkId),
}

impl Servers {
    pub(super) fn new(target: &Target) -> Self {
        Self {
            target: target.clone(),
            list: Vec::new(),
            slots: None,
            next_link: 0,
            is_discovering: false,
            discovered_at: None,
            failures: 0,
            troubles: Throttle::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The command that publishes: in a Redis Cluster, to the slot's own server alone.
    pub(super) fn publish(&self) -> &'static str {
        match self.target {
            Target::Cluster(_) => "SPUBLISH",
            Target::Single(_) | Target::Sentinel(_) => "PUBLISH",
        }
    }

    /// Whether keys are spread over servers.
    fn are_several(&self) -> bool {
        matches!(self.target, Target::Cluster(_))
    }

    fn index_of(&self, slot: u16) -> usize {
        self.slots
            .as_ref()
            .map_or(0, |slots| usize::from(slots[usize::from(slot)]))
    }

    /// The connection to the slot's server, if there is one.
    pub(super) fn link_of(&self, slot: u16) -> Option<LinkId> {
        self.link_at(self.index_of(slot))
    }

    /// The connection to a server, if there is one.
    pub(super) fn link_at(&self, index: usize) -> Option<LinkId> {
        match self.list.get(index)?.state {
            State::Up(link) => Some(link),
            State::Down | State::Connecting => None,
        }
    }

    /// What a call about a channel may look at: the servers of a Redis Cluster have not all of them the
    /// memory.
    pub(super) fn memory<'a>(&self, key: &'a str, name: &'a str) -> Option<(&'a str, &'a str)> {
        (!self.are_several() && !name.is_empty()).then_some((key, name))
    }

    pub(super) fn all_reached(&self) -> bool {
        let is_up = |server: &Server| matches!(server.state, State::Up(_));
        !self.list.is_empty() && self.list.iter().all(is_up)
    }

    /// What the slot's server is to be asked. Only for a server that is reached.
    pub(super) fn queue(&mut self, slot: u16, lane: Lane) -> &mut VecDeque<Job> {
        let index = self.index_of(slot);
        self.list[index].lanes.queue(lane)
    }

    pub(super) fn listen(&mut self, slot: u16, topic: Topic) {
        let index = self.index_of(slot);
        if let Some(server) = self.list.get_mut(index) {
            server.topics.push_back((topic, true));
        }
    }

    pub(super) fn stop_listening(&mut self, slot: u16, topic: Topic) {
        let index = self.index_of(slot);
        if let Some(server) = self.list.get_mut(index)
            && matches!(server.state, State::Up(_))
        {
            server.topics.push_back((topic, false));
        }
    }

    pub(super) fn is_free(&self, index: usize, lane: Lane) -> bool {
        let server = &self.list[index];
        let is_up = matches!(server.state, State::Up(_));
        is_up && !server.is_loading && server.lanes.is_free(lane)
    }

    pub(super) fn lanes(&mut self, index: usize) -> &mut Lanes {
        &mut self.list[index].lanes
    }

    /// A batch goes to the server; until it is answered no other of the lane does.
    pub(super) fn begin(&mut self, index: usize, lane: Lane) -> Option<LinkId> {
        let server = &mut self.list[index];
        let State::Up(link) = server.state else {
            return None;
        };
        server.lanes.set_busy(lane, true);
        Some(link)
    }

    fn by_link(&mut self, id: LinkId) -> Option<&mut Server> {
        let has = |server: &&mut Server| match &server.state {
            State::Up(link) => *link == id,
            State::Down | State::Connecting => false,
        };
        self.list.iter_mut().find(has)
    }

    pub(super) fn end(&mut self, link: LinkId, lane: Lane, took: Duration) {
        if let Some(server) = self.by_link(link) {
            server.lanes.set_busy(lane, false);
            if lane == Lane::Sync {
                server.lanes.pace.took(took);
            }
        }
    }

    /// Whether the scripts are to be made known to the server, which is not done already.
    pub(super) fn begin_loading(&mut self, id: LinkId) -> bool {
        let server = self.by_link(id);
        server.is_some_and(|server| !std::mem::replace(&mut server.is_loading, true))
    }

    pub(super) fn scripts_loaded(&mut self, link: LinkId) {
        if let Some(server) = self.by_link(link) {
            server.is_loading = false;
        }
    }

    /// The topics that the server is to be asked for, unless it is asked for others.
    pub(super) fn begin_listening(
        &mut self,
        index: usize,
    ) -> Option<(LinkId, Pipeline, Vec<Topic>)> {
        let is_cluster = matches!(self.target, Target::Cluster(_));
        let server = &mut self.list[index];
        let State::Up(link) = server.state else {
            return None;
        };
        if server.is_listening || server.topics.is_empty() {
            return None;
        }
        server.is_listening = true;
        let (mut pipeline, mut topics) = (redis::Pipeline::new(), Vec::new());
        while topics.len() < TOPICS_AT_ONCE {
            let Some((topic, on)) = server.topics.pop_front() else {
                break;
            };
            pipeline.cmd(match (is_cluster, on) {
                (false, true) => "SUBSCRIBE",
                (false, false) => "UNSUBSCRIBE",
                (true, true) => "SSUBSCRIBE",
                (true, false) => "SUNSUBSCRIBE",
            });
            pipeline.arg(&*topic);
            topics.push(topic);
        }
        Some((link, pipeline, topics))
    }

    pub(super) fn listening_is_done(&mut self, link: LinkId) {
        if let Some(server) = self.by_link(link) {
            server.is_listening = false;
        }
    }
}

impl Server {
    fn new(address: String, info: ConnectionInfo, now: Instant) -> Self {
        Self {
            address,
            info,
            state: State::Down,
            failures: 0,
            lanes: Lanes::default(),
            topics: VecDeque::new(),
            is_listening: false,
            is_loading: false,
            connected_at: now,
            pinged_at: now,
        }
    }
}

impl Node {
    /// Looks for the servers.
    pub(super) fn discover(&mut self) {
        let servers = &mut self.servers;
        if servers.is_discovering {
            return;
        }
        let now = self.now;
        if let Some(before) = servers.discovered_at
            && now.duration_since(before) < DISCOVERS_EVERY
        {
            self.at(before + DISCOVERS_EVERY, Timer::Discover);
            return;
        }
        servers.is_discovering = true;
        servers.discovered_at = Some(now);
        let known = servers.list.iter().map(|server| server.info.clone());
        self.io.push(Io::Discover(known.collect()));
    }

    pub(super) fn on_discovered(&mut self, found: RedisResult<Discovered>) {
        self.servers.is_discovering = false;
        match found {
            Err(error) => {
                self.servers.failures += 1;
                match self.rights.lack_of(&error) {
                    Some(lack) => self.note_lack(lack, &error.to_string()),
                    None => self.note_trouble(&error.to_string()),
                }
                let pause = pause(self.servers.failures, &mut self.rng);
                self.at(self.now + pause, Timer::Discover);
            }
            Ok(found) => {
                self.servers.failures = 0;
                self.take_over(found);
            }
        }
    }

    /// These are the servers from now on. What has moved is listened to where it is now.
    fn take_over(&mut self, found: Discovered) {
        let mut old = std::mem::take(&mut self.servers.list);
        let before: Vec<String> = old.iter().map(|server| server.address.clone()).collect();
        let slots_before = self.servers.slots.take();
        let mut list = Vec::new();
        for (address, info) in found.servers {
            let known = old.iter().position(|server| server.address == address);
            list.push(match known {
                Some(index) => old.swap_remove(index),
                None => Server::new(address, info, self.now),
            });
        }
        self.servers.list = list;
        self.servers.slots = found.slots;
        let mut failed = Vec::new();
        for mut server in old {
            failed.extend(server.lanes.take());
        }
        self.move_channels(&before, slots_before.as_deref());
        self.requeue_plain();
        for job in failed {
            self.give_up(job);
        }
        let down: Vec<String> = self
            .servers
            .list
            .iter()
            .filter(|server| matches!(server.state, State::Down))
            .map(|server| server.address.clone())
            .collect();
        for address in down {
            self.connect(&address);
        }
        for topic in self.topics() {
            self.look_after(&topic);
        }
    }

    fn move_channels(&mut self, before: &[String], slots_before: Option<&[u16]>) {
        let servers = &self.servers;
        for channel in self.channels.values_mut() {
            let slot = usize::from(channel.slot);
            let was = slots_before.map_or(0, |slots| usize::from(slots[slot]));
            let is = servers.index_of(channel.slot);
            let is_same = match (before.get(was), servers.list.get(is)) {
                (Some(was), Some(is)) => *was == is.address,
                _ => before.is_empty(),
            };
            if !is_same {
                if channel.listening == Asked::Done {
                    self.metrics.subscriptions.dec();
                }
                channel.is_queued = false;
                match servers.link_of(channel.slot).is_some() {
                    true => channel.on_moved(self.now),
                    false => channel.on_lost(self.now),
                }
            }
        }
    }

    /// Calls that wait in a queue of a server that is no longer theirs go where they belong.
    fn requeue_plain(&mut self) {
        let mut plain = Vec::new();
        for server in &mut self.servers.list {
            for job in server.lanes.take() {
                match job {
                    Job::Plain(job) => plain.push(job),
                    Job::Channel(topic) => {
                        if let Some(channel) = self.channels.get_mut(&topic) {
                            channel.is_queued = false;
                        }
                    }
                }
            }
        }
        for job in plain {
            self.call(job);
        }
    }

    fn give_up(&mut self, job: Job) {
        match job {
            Job::Plain(plain) => (plain.then)(self, Err(NoAnswer)),
            Job::Channel(topic) => {
                if let Some(channel) = self.channels.get_mut(&topic) {
                    channel.is_queued = false;
                }
            }
        }
    }

    pub(super) fn connect(&mut self, address: &str) {
        let link = LinkId(self.servers.next_link);
        let mut list = self.servers.list.iter_mut();
        let Some(server) = list.find(|server| server.address == address) else {
            return;
        };
        if !matches!(server.state, State::Down) {
            return;
        }
        server.state = State::Connecting;
        self.servers.next_link += 1;
        self.io
            .push(Io::Connect(address.to_owned(), server.info.clone(), link));
    }

    pub(super) fn on_connected(&mut self, address: &str, link: Result<LinkId, Unusable>) {
        let mut list = self.servers.list.iter_mut();
        let Some(server) = list.find(|server| server.address == address) else {
            // Found to be none of the servers meanwhile.
            self.io.extend(link.ok().map(Io::Disconnect));
            return;
        };
        match link {
            Err(error) => {
                server.state = State::Down;
                server.failures += 1;
                let pause = pause(server.failures, &mut self.rng);
                match error {
                    Unusable::Lacks(lack) => self.note_lack(lack, address),
                    Unusable::Failed(error) => {
                        let text = format!("{address}: {error}");
                        match self.rights.lack_of(&error) {
                            Some(lack) => self.note_lack(lack, &text),
                            None => self.note_trouble(&text),
                        }
                    }
                }
                self.at(self.now + pause, Timer::Connect(address.to_owned()));
                if !matches!(self.servers.target, Target::Single(_)) {
                    self.at(self.now + pause, Timer::Discover);
                }
            }
            Ok(link) => {
                tracing::info!(server = address, "connected to Redis");
                server.lanes.restart();
                server.is_listening = false;
                server.is_loading = false;
                server.connected_at = self.now;
                server.pinged_at = self.now;
                server.topics.clear();
                server.state = State::Up(link);
                self.servers.troubles = Throttle::default();
                if self.servers.all_reached() {
                    self.note_no_lack();
                }
                self.keeps_until = self.now + KEEPS_FOR;
                self.must_compare = true;
                self.beat();
                for topic in self.topics() {
                    self.look_after(&topic);
                }
            }
        }
    }

    pub(super) fn on_link_lost(&mut self, link: LinkId, reason: &str) {
        let Some(server) = self.servers.by_link(link) else {
            return;
        };
        if let State::Up(link) = std::mem::replace(&mut server.state, State::Down) {
            self.io.push(Io::Disconnect(link));
        }
        // A replica takes connections too, and then refuses.
        let connected_for = self.now.saturating_duration_since(server.connected_at);
        let pause = match connected_for < LONGEST_PAUSE {
            true => {
                server.failures += 1;
                pause(server.failures, &mut self.rng)
            }
            false => {
                server.failures = 0;
                Duration::ZERO
            }
        };
        let address = server.address.clone();
        let jobs = server.lanes.take();
        server.topics.clear();
        tracing::warn!(server = address, reason, "lost the connection to Redis");
        for job in jobs {
            self.give_up(job);
        }
        let nodes_slot = keys::slot(&self.keys.nodes()[0]);
        if self.servers.link_of(nodes_slot).is_none() {
            self.is_counted = false;
        }
        self.repeat_recent();
        let topics = self.topics();
        for topic in &topics {
            let Some(channel) = self.channels.get_mut(topic) else {
                continue;
            };
            if self.servers.link_of(channel.slot).is_none() {
                if channel.listening == Asked::Done {
                    self.metrics.subscriptions.dec();
                }
                channel.is_queued = false;
                channel.on_lost(self.now);
            } else if channel.listed == Asked::UnderWay && !self.is_counted {
                channel.listed = Asked::No;
            }
        }
        self.show_standing();
        match self.servers.target {
            Target::Single(_) => self.at(self.now + pause, Timer::Connect(address)),
            Target::Cluster(_) => {
                let at = self.now + pause.max(FIRST_PAUSE);
                self.at(at, Timer::Connect(address));
                self.at(self.now + pause, Timer::Discover);
            }
            Target::Sentinel(_) => self.at(self.now + pause, Timer::Discover),
        }
    }

    /// What a server that is gone was told last is told again when it is back.
    fn repeat_recent(&mut self) {
        for (topic, written) in self.recent.take_last_first(self.now) {
            if let Some(channel) = self.channels.get_mut(&topic)
                && self.servers.link_of(channel.slot).is_none()
            {
                channel.outgoing.repeat(written);
            }
        }
    }

    /// Pings the servers, so that one that has gone silently is noticed.
    pub(super) fn ping(&mut self, every: Duration) {
        let now = self.now;
        for server in &mut self.servers.list {
            let State::Up(link) = server.state else {
                continue;
            };
            if now.duration_since(server.pinged_at) < every {
                continue;
            }
            server.pinged_at = now;
            self.io.push(Io::Use(link, Use::Ping));
        }
    }

    /// Redis is there, and does not let this node do what it needs. It is logged once.
    pub(super) fn note_lack(&mut self, lack: Lack, context: &str) {
        let before = self.shared.lack.lock().replace(lack.clone());
        if before.as_ref() != Some(&lack) {
            tracing::error!(context, "{lack}");
        }
        self.metrics.refused.set(1);
        self.show_standing();
    }

    fn note_no_lack(&mut self) {
        *self.shared.lack.lock() = None;
        self.metrics.refused.set(0);
        self.show_standing();
    }

    fn note_trouble(&mut self, reason: &str) {
        let now = self.now;
        if self.servers.troubles.lets_through(now) {
            let target = self.servers.target.to_string();
            tracing::warn!(target, reason, "Redis cannot be reached: trying again");
        }
    }
}

/// How long to wait after so many failures.
fn pause(failures: u32, rng: &mut impl Rng) -> Duration {
    let longest = FIRST_PAUSE * 2u32.saturating_pow(failures.min(8));
    longest
        .min(LONGEST_PAUSE)
        .mul_f64(rng.random_range(0.5..1.0))
}
