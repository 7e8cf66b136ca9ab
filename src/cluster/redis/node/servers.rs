//! The servers of Redis: which there are, which of them is reached, and which of them has what.
//!
//! They do nothing themselves: what is to be done, and what follows for the node, they return.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rand::{Rng, RngExt as _};
use redis::{ConnectionInfo, Pipeline};

use super::discovery::Discovered;
use super::io::{Io, Use};
use super::jobs::{Job, Lane};
use super::lanes::Lanes;
use super::timers::Timer;
use crate::cluster::redis::keys::Topic;
use crate::cluster::redis::link::LinkId;
use crate::cluster::redis::settings::Target;
use crate::throttle::Throttle;

/// Topics that are asked for together at most.
const TOPICS_AT_ONCE: usize = 512;
/// How long until a server is tried again: growing, with chance in it.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How often the servers are looked for at most.
const SEARCHES_EVERY: Duration = Duration::from_millis(100);

pub(super) struct Servers {
    target: Target,
    list: Vec<Server>,
    slots: Option<Box<[u16]>>,
    next_link: u64,
    is_searching: bool,
    searched_at: Option<Instant>,
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
}

enum State {
    Down,
    Connecting,
    Up(Up),
}

/// A server that is reached.
struct Up {
    link: LinkId,
    since: Instant,
    pinged_at: Instant,
    /// Whether it is being asked for topics.
    is_listening: bool,
    /// Whether scripts are being made known to it, before which none is called.
    is_loading: bool,
}

/// What comes of looking for servers.
pub(super) enum Search {
    /// They are being looked for already.
    UnderWay,
    /// They were just looked for, and are then again.
    Later(Instant),
    /// It is begun, perhaps with the help of those that are known.
    Begun(Vec<ConnectionInfo>),
}

/// How servers were, before others were found.
pub(super) struct Former {
    addresses: Vec<String>,
    slots: Option<Box<[u16]>>,
    /// What those were to be asked that are none any more.
    pub(super) abandoned: Vec<Job>,
    /// What the others were to be asked, not all of which is theirs any more.
    pub(super) queued: Vec<Job>,
    /// Connections to those that are none any more.
    pub(super) links: Vec<LinkId>,
}

/// A server to which there is no connection any more.
pub(super) struct Lost {
    pub(super) address: String,
    /// What it was to be asked.
    pub(super) jobs: Vec<Job>,
    /// What is tried again, and when.
    pub(super) retries: Vec<(Instant, Timer)>,
}

impl Servers {
    pub(super) fn new(target: &Target) -> Self {
        Self {
            target: target.clone(),
            list: Vec::new(),
            slots: None,
            next_link: 0,
            is_searching: false,
            searched_at: None,
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
    pub(super) fn are_several(&self) -> bool {
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
        self.list.get(index)?.up().map(|up| up.link)
    }

    /// What a call about a channel may look at: the servers of a Redis Cluster have not all of them the
    /// memory.
    pub(super) fn memory<'a>(&self, key: &'a str, name: &'a str) -> Option<(&'a str, &'a str)> {
        (!self.are_several() && !name.is_empty()).then_some((key, name))
    }

    pub(super) fn is_up(&self, link: LinkId) -> bool {
        let mut up = self.list.iter().filter_map(Server::up);
        up.any(|up| up.link == link)
    }

    pub(super) fn all_reached(&self) -> bool {
        !self.list.is_empty() && self.list.iter().all(|server| server.up().is_some())
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
            && server.up().is_some()
        {
            server.topics.push_back((topic, false));
        }
    }

    pub(super) fn is_free(&self, index: usize, lane: Lane) -> bool {
        let server = &self.list[index];
        let is_ready = server.up().is_some_and(|up| !up.is_loading);
        is_ready && server.lanes.is_free(lane)
    }

    pub(super) fn lanes(&mut self, index: usize) -> &mut Lanes {
        &mut self.list[index].lanes
    }

    /// A batch goes to the server; until it is answered no other of the lane does.
    pub(super) fn begin(&mut self, index: usize, lane: Lane) -> Option<LinkId> {
        let server = &mut self.list[index];
        let link = server.up()?.link;
        server.lanes.set_busy(lane, true);
        Some(link)
    }

    fn by_link(&mut self, link: LinkId) -> Option<&mut Server> {
        let mut list = self.list.iter_mut();
        list.find(|server| server.up().is_some_and(|up| up.link == link))
    }

    fn up_by_link(&mut self, link: LinkId) -> Option<&mut Up> {
        self.by_link(link)?.up_mut()
    }

    fn by_address(&mut self, address: &str) -> Option<&mut Server> {
        let mut list = self.list.iter_mut();
        list.find(|server| server.address == address)
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
    pub(super) fn begin_loading(&mut self, link: LinkId) -> bool {
        let up = self.up_by_link(link);
        up.is_some_and(|up| !std::mem::replace(&mut up.is_loading, true))
    }

    pub(super) fn scripts_loaded(&mut self, link: LinkId) {
        if let Some(up) = self.up_by_link(link) {
            up.is_loading = false;
        }
    }

    /// The topics that the server is to be asked for, unless it is asked for others.
    pub(super) fn begin_listening(
        &mut self,
        index: usize,
    ) -> Option<(LinkId, Pipeline, Vec<Topic>)> {
        let is_cluster = self.are_several();
        let server = &mut self.list[index];
        let State::Up(up) = &mut server.state else {
            return None;
        };
        if up.is_listening || server.topics.is_empty() {
            return None;
        }
        up.is_listening = true;
        let link = up.link;
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
        if let Some(up) = self.up_by_link(link) {
            up.is_listening = false;
        }
    }
}

/// Finding and reaching them.
impl Servers {
    pub(super) fn search(&mut self, now: Instant) -> Search {
        if self.is_searching {
            return Search::UnderWay;
        }
        if let Some(before) = self.searched_at
            && now.duration_since(before) < SEARCHES_EVERY
        {
            return Search::Later(before + SEARCHES_EVERY);
        }
        self.is_searching = true;
        self.searched_at = Some(now);
        let known = self.list.iter().map(|server| server.info.clone());
        Search::Begun(known.collect())
    }

    /// They were not found. Returns when they are looked for again.
    pub(super) fn on_not_found(&mut self, now: Instant, rng: &mut impl Rng) -> Instant {
        self.is_searching = false;
        self.failures += 1;
        now + pause(self.failures, rng)
    }

    /// These are the servers from now on.
    pub(super) fn replace(&mut self, found: Discovered) -> Former {
        self.is_searching = false;
        self.failures = 0;
        let mut old = std::mem::take(&mut self.list);
        let addresses = old.iter().map(|server| server.address.clone()).collect();
        let slots = std::mem::replace(&mut self.slots, found.slots);
        for (address, info) in found.servers {
            let known = old.iter().position(|server| server.address == address);
            self.list.push(match known {
                Some(index) => old.swap_remove(index),
                None => Server::new(address, info),
            });
        }
        let take = |servers: &mut Vec<Server>| {
            let jobs = servers.iter_mut().flat_map(|server| server.lanes.take());
            jobs.collect()
        };
        Former {
            addresses,
            slots,
            links: old
                .iter()
                .filter_map(Server::up)
                .map(|up| up.link)
                .collect(),
            abandoned: take(&mut old),
            queued: take(&mut self.list),
        }
    }

    /// Whether another server has the slot now.
    pub(super) fn has_moved(&self, slot: u16, former: &Former) -> bool {
        let slots = former.slots.as_ref();
        let was = slots.map_or(0, |slots| usize::from(slots[usize::from(slot)]));
        let is = self.list.get(self.index_of(slot));
        match (former.addresses.get(was), is) {
            (Some(was), Some(is)) => *was != is.address,
            _ => !former.addresses.is_empty(),
        }
    }

    /// Those to which there is no connection, and none is being made.
    pub(super) fn down(&self) -> Vec<String> {
        let servers = self.list.iter();
        let down = servers.filter(|server| matches!(server.state, State::Down));
        down.map(|server| server.address.clone()).collect()
    }

    /// Connects to a server that is down.
    pub(super) fn connect(&mut self, address: &str) -> Option<Io> {
        let link = LinkId(self.next_link);
        let server = self.by_address(address)?;
        if !matches!(server.state, State::Down) {
            return None;
        }
        server.state = State::Connecting;
        let info = server.info.clone();
        self.next_link += 1;
        Some(Io::Connect(address.to_owned(), info, link))
    }

    /// A server is reached. False: it was found to be none of the servers meanwhile.
    pub(super) fn on_connected(&mut self, address: &str, link: LinkId, now: Instant) -> bool {
        let Some(server) = self.by_address(address) else {
            return false;
        };
        server.lanes.restart();
        server.topics.clear();
        server.state = State::Up(Up {
            link,
            since: now,
            pinged_at: now,
            is_listening: false,
            is_loading: false,
        });
        self.troubles = Throttle::default();
        true
    }

    /// A server cannot be reached. Returns what is tried again, and when; None: it is none of the servers.
    pub(super) fn on_not_connected(
        &mut self,
        address: &str,
        now: Instant,
        rng: &mut impl Rng,
    ) -> Option<Vec<(Instant, Timer)>> {
        let server = self.by_address(address)?;
        server.state = State::Down;
        server.failures += 1;
        let at = now + pause(server.failures, rng);
        let mut retries = vec![(at, Timer::Connect(address.to_owned()))];
        if !matches!(self.target, Target::Single(_)) {
            retries.push((at, Timer::Discover));
        }
        Some(retries)
    }

    /// A connection is lost. None: it was given up before.
    pub(super) fn on_lost(
        &mut self,
        link: LinkId,
        now: Instant,
        rng: &mut impl Rng,
    ) -> Option<Lost> {
        let server = self.by_link(link)?;
        let State::Up(up) = std::mem::replace(&mut server.state, State::Down) else {
            return None;
        };
        // A replica takes connections too, and then refuses.
        let pause = if now.saturating_duration_since(up.since) < LONGEST_PAUSE {
            server.failures += 1;
            pause(server.failures, rng)
        } else {
            server.failures = 0;
            Duration::ZERO
        };
        let (address, jobs) = (server.address.clone(), server.lanes.take());
        server.topics.clear();
        let connect = Timer::Connect(address.clone());
        let retries = match self.target {
            Target::Single(_) => vec![(now + pause, connect)],
            Target::Cluster(_) => vec![
                (now + pause.max(FIRST_PAUSE), connect),
                (now + pause, Timer::Discover),
            ],
            Target::Sentinel(_) => vec![(now + pause, Timer::Discover)],
        };
        Some(Lost {
            address,
            jobs,
            retries,
        })
    }

    /// Pings the servers, so that one that has gone silently is noticed.
    pub(super) fn ping(&mut self, now: Instant, every: Duration) -> Vec<Io> {
        let up = self.list.iter_mut().filter_map(Server::up_mut);
        let due = up.filter(|up| now.duration_since(up.pinged_at) >= every);
        due.map(|up| {
            up.pinged_at = now;
            Io::Use(up.link, Use::Ping)
        })
        .collect()
    }

    /// What cannot be reached, if that is to be logged now.
    pub(super) fn trouble(&mut self, now: Instant) -> Option<String> {
        let is_news = self.troubles.lets_through(now);
        is_news.then(|| self.target.to_string())
    }
}

impl Server {
    fn new(address: String, info: ConnectionInfo) -> Self {
        Self {
            address,
            info,
            state: State::Down,
            failures: 0,
            lanes: Lanes::default(),
            topics: VecDeque::new(),
        }
    }

    fn up(&self) -> Option<&Up> {
        match &self.state {
            State::Up(up) => Some(up),
            State::Down | State::Connecting => None,
        }
    }

    fn up_mut(&mut self) -> Option<&mut Up> {
        match &mut self.state {
            State::Up(up) => Some(up),
            State::Down | State::Connecting => None,
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
