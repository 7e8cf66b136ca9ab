//! The thread that speaks to Redis: everything that this node shares is here, and only here.
//!
//! - [`requests`]: what the other threads want
//! - [`servers`], [`discovery`]: which servers there are, and which of them has what
//! - [`reach`]: what follows when they are found, reached and lost
//! - [`channels`]: what follows from a change of a channel, and what servers announce of it
//! - [`calls`], [`batches`]: what is asked of Redis, what it answers, and what goes together
//! - [`io`]: what takes time
//! - [`lanes`]: what is asked apart from what, and how much at once
//! - [`recent`]: what was written last
//! - [`trimming`]: all logs together are not too large
//! - [`settling`]: what became of idempotency keys
//! - [`life`], [`leaving`]: heartbeats, and this node's end
//! - [`memory`]: what Redis remembers
//! - [`dead_nodes`]: what dead nodes leave behind, which is removed

mod batches;
mod calls;
mod channels;
mod dead_nodes;
mod discovery;
mod io;
mod lanes;
mod leaving;
mod life;
mod memory;
mod reach;
mod recent;
mod requests;
mod servers;
mod settling;
#[cfg(test)]
mod simulation;
mod trimming;

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use redis::{RedisResult, Value};

use super::channel::Channel;
use super::entry::NodeId;
use super::keys::{Keys, Topic};
use super::ledger::Ledger;
use super::link::{LinkId, Pushed, Unusable};
use super::request::{Request, Settlement};
use super::rights::Rights;
use super::settings::{Settings, Target};
use super::shared::Shared;
use crate::hub::Apps;
use crate::metrics::ClusterMetrics;
use crate::throttle::Throttle;
use discovery::Discovered;
pub(super) use io::Driver;
use io::Io;
use lanes::Lane;
use life::Life;
use memory::KnownMemory;
use recent::Recent;
use servers::Servers;

/// How long entries are kept beyond the time that a node may be away without being given up.
const HISTORY: Duration = Duration::from_secs(30);
/// What became of something that takes time.
enum Event {
    Discovered(RedisResult<Discovered>),
    Connected(String, Result<LinkId, Unusable>),
    Answered(
        LinkId,
        (Lane, Instant),
        Vec<calls::Item>,
        RedisResult<Vec<Value>>,
    ),
    Listened(LinkId, Vec<Topic>, RedisResult<Vec<Value>>),
    Pinged(LinkId, RedisResult<()>),
    ScriptsLoaded(LinkId, RedisResult<()>),
}

/// What a node deals with.
enum Input {
    Request(Request),
    /// A server has sent something of its own accord.
    Pushed(LinkId, Pushed),
    Event(Event),
    /// It is as late as [`Node::wakes_at`].
    Time,
}

/// What is looked after at a time.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Heartbeat,
    Discover,
    Connect(String),
    Channel(Topic),
    Resting,
    Settle,
    Stop,
}

/// What does not change while a node is at work.
struct Setup {
    settings: Settings,
    keys: Keys,
    rights: Rights,
    shared: Arc<Shared>,
    metrics: ClusterMetrics,
    apps: Arc<Apps>,
    /// Milliseconds that an entry is kept.
    history_ms: u64,
}

/// What is tried again later.
#[derive(Default)]
struct Postponed {
    /// Calls that were refused for a while.
    calls: Vec<calls::Plain>,
    /// Idempotency keys whose fate Redis does not know yet.
    settlements: Vec<Settlement>,
}

/// Does no IO and reads no clock: it is given what has happened and when, and returns what is to be done.
pub(super) struct Node {
    /// When what it deals with came.
    now: Instant,
    rng: StdRng,
    /// What is to be done that takes time.
    io: Vec<Io>,
    timers: BinaryHeap<Reverse<(Instant, Timer)>>,
    setup: Setup,
    life: Life,
    memory: KnownMemory,
    servers: Servers,
    channels: HashMap<Topic, Channel>,
    /// The number of the last call about a channel.
    number: u64,
    postponed: Postponed,
    recent: Recent,
    ledger: RefCell<Ledger>,
    /// How often it is logged that Redis refuses something, and that events may be missing.
    refusals: Throttle,
    breaks: RefCell<Throttle>,
}

impl Node {
    fn new(
        settings: Settings,
        shared: Arc<Shared>,
        metrics: ClusterMetrics,
        apps: Arc<Apps>,
        mut rng: StdRng,
        now: Instant,
    ) -> Self {
        let keys = Keys::new(&settings.prefix);
        let history = HISTORY + settings.node_timeout;
        let ledger = Ledger::new(history, settings.total_log_bytes);
        Self {
            now,
            io: Vec::new(),
            timers: BinaryHeap::from([Reverse((now, Timer::Discover))]),
            life: Life::new(NodeId::random(&mut rng), now),
            rng,
            memory: KnownMemory::new(keys.memory().into(), now),
            servers: Servers::new(&settings.target),
            channels: HashMap::new(),
            number: 0,
            postponed: Postponed::default(),
            recent: Recent::default(),
            ledger: RefCell::new(ledger),
            refusals: Throttle::default(),
            breaks: RefCell::default(),
            setup: Setup {
                rights: rights(&settings),
                settings,
                keys,
                shared,
                metrics,
                apps,
                history_ms: history.as_millis() as u64,
            },
        }
    }

    /// Deals with something that has happened.
    fn on(&mut self, input: Input, now: Instant) {
        self.now = now;
        match input {
            Input::Request(request) => self.on_request(request),
            Input::Pushed(link, pushed) => self.on_pushed(link, pushed),
            Input::Event(event) => self.on_event(event),
            Input::Time => self.on_time(),
        }
    }

    /// What is to be done now that all that has come is dealt with.
    fn take_io(&mut self) -> std::vec::Drain<'_, Io> {
        self.make_calls();
        self.io.drain(..)
    }

    /// When the node has to look after something next.
    fn wakes_at(&self) -> Option<Instant> {
        self.timers.peek().map(|Reverse((at, _))| *at)
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Discovered(found) => self.on_discovered(found),
            Event::Connected(address, link) => self.on_connected(&address, link),
            Event::Answered(link, asked, items, answers) => {
                self.on_answers(link, asked, items, answers);
            }
            Event::Listened(link, topics, answers) => self.on_listened(link, topics, answers),
            Event::Pinged(link, Err(error)) | Event::ScriptsLoaded(link, Err(error)) => {
                self.on_link_lost(link, &error.to_string());
            }
            Event::Pinged(_, Ok(())) => {}
            Event::ScriptsLoaded(link, Ok(())) => self.servers.scripts_loaded(link),
        }
    }

    fn on_pushed(&mut self, link: LinkId, pushed: Pushed) {
        match pushed {
            Pushed::Message(topic, content) => self.on_message(link, &topic, content),
            Pushed::Listening(topic) => self.on_listening(link, &topic),
            Pushed::NotListening(topic) => self.on_not_listening(link, &topic),
            Pushed::Lost => self.on_link_lost(link, "the connection was closed"),
        }
    }

    fn on_time(&mut self) {
        let now = self.now;
        while let Some(Reverse((at, _))) = self.timers.peek() {
            if *at > now {
                return;
            }
            let Some(Reverse((_, timer))) = self.timers.pop() else {
                return;
            };
            match timer {
                Timer::Heartbeat => self.beat(),
                Timer::Discover => self.discover(),
                Timer::Connect(address) => self.connect(&address),
                Timer::Channel(topic) => self.on_channel_time(&topic),
                Timer::Resting => self.call_again(),
                Timer::Settle => self.settle_again(),
                Timer::Stop => self.go_on_stopping(),
            }
        }
    }

    fn at(&mut self, at: Instant, timer: Timer) {
        self.timers.push(Reverse((at, timer)));
    }

    fn node(&self) -> NodeId {
        self.life.ids.current
    }
}

/// What a node's user of Redis may have to do.
fn rights(settings: &Settings) -> Rights {
    let is_cluster = matches!(settings.target, Target::Cluster(_));
    Rights::new(&settings.prefix, is_cluster)
}
