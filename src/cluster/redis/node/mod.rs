//! The thread that speaks to Redis: everything that this node shares is here, and only here.
//!
//! - [`requests`]: what the other threads want
//! - [`servers`], [`discovery`]: connecting, and knowing which server has what
//! - [`calls`]: what is asked of Redis, and what it answers
//! - [`io`]: what takes time
//! - [`lanes`]: what is asked apart from what, and how much at once
//! - [`recent`]: what was written last
//! - [`trimming`]: all logs together are not too large
//! - [`settling`]: what became of idempotency keys
//! - [`life`]: heartbeats, the death of other nodes, and this one's end

mod calls;
mod discovery;
mod io;
mod lanes;
mod life;
mod recent;
mod requests;
mod servers;
mod settling;
#[cfg(test)]
mod simulation;
mod trimming;

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use redis::{RedisResult, Value};
use tokio::sync::oneshot;

use super::Shared;
use super::channel::{Asked, Channel, Context, Kind};
use super::entry::{Message, NodeId, NodeIds, VERSION};
use super::keys::{Keys, Subject, Topic, slot};
use super::ledger::Ledger;
use super::link::{LinkId, Pushed, Unusable};
use super::outgoing::PublishContext;
use super::request::{Request, Settlement};
use super::rights::Rights;
use super::script::Memory;
use super::settings::{Settings, Target};
use crate::hub::AppHub;
use crate::metrics::ClusterMetrics;
use crate::protocol::ChannelName;
use crate::throttle::Throttle;
use calls::Job;
use discovery::Discovered;
pub(super) use io::Driver;
use io::Io;
use lanes::Lane;
use recent::Recent;
use servers::Servers;

/// How long entries are kept beyond the time that a node may be away without being given up.
const HISTORY: Duration = Duration::from_secs(30);
/// How long a topic is listened to that nobody wants: pages are loaded again.
const LISTENS_ON_FOR: Duration = Duration::from_secs(5);
/// How long after a connection entries are written even where nobody is known to listen: other
/// nodes may still be on their way back, to a server that has forgotten them.
pub(super) const KEEPS_FOR: Duration = Duration::from_secs(20);
/// How soon a heartbeat is made when something says that Redis has forgotten what it was told.
const AHEAD_OF_HEARTBEAT: Duration = Duration::from_millis(20);
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
    /// A server has said something of its own accord.
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

/// Does no IO and reads no clock: it is told what has happened and when, and says what is to be done.
pub(super) struct Node {
    /// When what it deals with came.
    now: Instant,
    rng: StdRng,
    /// What is to be done that takes time.
    io: Vec<Io>,
    settings: Settings,
    keys: Keys,
    rights: Rights,
    shared: Arc<Shared>,
    metrics: ClusterMetrics,
    apps: HashMap<Box<str>, Arc<AppHub>>,

    ids: NodeIds,
    /// Whether Redis has this node among those alive since it was last reached.
    is_counted: bool,
    /// When Redis last said so.
    pulse_at: Instant,
    is_new: bool,
    /// The version that all nodes read.
    version: u8,
    number: u64,
    history_ms: u64,
    keeps_until: Instant,
    /// Dead nodes, with the channels that are still to be cleaned up.
    dead: HashMap<String, usize>,
    /// What Redis remembered when it was last heard of.
    memory: Memory,
    memory_key: Box<str>,
    /// Until when other nodes may not have told again what Redis has lost.
    doubts_until: Instant,
    /// Whether what Redis has of this node is to be compared with what it is.
    must_compare: bool,
    /// Whether the next heartbeat is not waited for.
    beats_early: bool,

    servers: Servers,
    channels: HashMap<Topic, Channel>,
    timers: BinaryHeap<Reverse<(Instant, Timer)>>,
    recent: Recent,
    /// Calls that were refused for a while.
    resting: Vec<calls::Plain>,
    /// Idempotency keys whose fate Redis is not told yet.
    unsettled: Vec<Settlement>,
    stopping: Option<oneshot::Sender<()>>,
    ended: bool,
    refusals: Throttle,
    breaks: RefCell<Throttle>,
    ledger: RefCell<Ledger>,
}

/// What is at hand for a channel: all of the node but its channels. `epoch` is that of a channel that has
/// none yet.
macro_rules! context {
    ($node:ident, $link:expr, $epoch:expr) => {{
        let link: Option<LinkId> = $link;
        Context {
            now: $node.now,
            metrics: &$node.metrics,
            publishing: PublishContext {
                node: $node.ids.current,
                version: $node.version,
                number: $node.number,
                epoch: $epoch,
                publish: $node.servers.publish(),
                history_ms: $node.history_ms,
                log_bytes: $node.settings.log_bytes,
                keep: $node.now < $node.keeps_until,
            },
            own: &$node.ids,
            is_away: link.is_none(),
            link,
            memory: $node.servers.memory(&$node.memory_key, &$node.memory.name),
            is_doubtful: $node.now < $node.doubts_until,
            leave_delay: $node.settings.leave_delay,
            node_timeout: $node.settings.node_timeout,
            ledger: &$node.ledger,
            breaks: &$node.breaks,
        }
    }};
}
use context;

impl Node {
    fn new(
        settings: Settings,
        shared: Arc<Shared>,
        metrics: ClusterMetrics,
        apps: HashMap<Box<str>, Arc<AppHub>>,
        mut rng: StdRng,
        now: Instant,
    ) -> Self {
        let keys = Keys::new(&settings.prefix);
        let history = HISTORY + settings.node_timeout;
        Self {
            memory_key: keys.memory().into(),
            keys,
            now,
            io: Vec::new(),
            rights: rights(&settings),
            servers: Servers::new(&settings.target),
            shared,
            metrics,
            apps,
            ids: NodeIds::new(NodeId::random(&mut rng)),
            rng,
            is_counted: false,
            pulse_at: now,
            is_new: true,
            version: VERSION,
            number: 0,
            history_ms: history.as_millis() as u64,
            ledger: RefCell::new(Ledger::new(history, settings.total_log_bytes)),
            keeps_until: now,
            dead: HashMap::new(),
            memory: Memory::default(),
            doubts_until: now,
            must_compare: false,
            beats_early: false,
            channels: HashMap::new(),
            timers: BinaryHeap::from([Reverse((now, Timer::Discover))]),
            recent: Recent::default(),
            resting: Vec::new(),
            unsettled: Vec::new(),
            stopping: None,
            settings,
            ended: false,
            refusals: Throttle::default(),
            breaks: RefCell::default(),
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

    /// Whether the node knows what has happened on the channel up to some time, and hears or reads the rest.
    #[cfg(test)]
    fn follows(&self, app: &str, channel: &str) -> bool {
        let channel = self.channels.get(&*self.keys.topic(app, channel));
        channel.is_some_and(Channel::has_place)
    }

    /// Whether the node has left the others.
    fn has_ended(&self) -> bool {
        self.ended
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

    fn on_message(&mut self, link: LinkId, topic: &[u8], content: Vec<u8>) {
        let message = match Message::parse(content.into()) {
            Ok(message) => message,
            Err(_) => {
                self.metrics.unreadable.inc();
                return;
            }
        };
        let Ok(topic) = std::str::from_utf8(topic) else {
            return;
        };
        self.with(topic, |channel, context| {
            channel.on_message(&message, link, context)
        });
    }

    fn on_listening(&mut self, link: LinkId, topic: &[u8]) {
        let Ok(topic) = std::str::from_utf8(topic) else {
            return;
        };
        let is_there = |slot| self.servers.link_of(slot).is_some_and(|up| up == link);
        if let Some(channel) = self.channels.get_mut(topic)
            && is_there(channel.slot)
            && channel.listening == Asked::UnderWay
        {
            channel.listening = Asked::Done;
            self.metrics.subscriptions.inc();
            self.look_after(topic);
        }
    }

    /// Asked for when nobody wanted the topic, or a Redis Cluster has moved it.
    fn on_not_listening(&mut self, link: LinkId, topic: &[u8]) {
        let Ok(topic) = std::str::from_utf8(topic) else {
            return;
        };
        let is_there = |slot| self.servers.link_of(slot).is_some_and(|up| up == link);
        if let Some(channel) = self.channels.get_mut(topic)
            && is_there(channel.slot)
            && channel.listening == Asked::Done
        {
            self.metrics.subscriptions.dec();
            channel.on_moved(self.now);
            self.at(self.now, Timer::Discover);
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
                Timer::Channel(topic) => self.on_channel_time(&topic, now),
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
        self.ids.current
    }

    // Channels.

    fn channel_topic(&self, app: &AppHub, channel: &str) -> String {
        self.keys.topic(&app.app.id, channel)
    }

    /// Does something with a channel that there is, and then what follows from it.
    fn with<T>(
        &mut self,
        topic: &str,
        act: impl FnOnce(&mut Channel, &Context<'_>) -> T,
    ) -> Option<T> {
        let channel = self.channels.get_mut(topic)?;
        let link = self.servers.link_of(channel.slot);
        let context = context!(self, link, "");
        let done = act(channel, &context);
        self.look_after(topic);
        Some(done)
    }

    /// The channel of a topic, made if there is none.
    fn ensure(&mut self, topic: &str) -> Option<()> {
        if self.channels.contains_key(topic) {
            return Some(());
        }
        let (app, subject) = self.keys.parse(topic)?;
        let app = self.apps.get(app).cloned();
        let (name, kind) = match subject {
            Subject::Channel(name) => (ChannelName::parse(name, usize::MAX).ok()?, Kind::Channel),
            Subject::User(user_id) => (
                ChannelName::server_to_user(user_id),
                Kind::User(user_id.into()),
            ),
        };
        let topic: Topic = topic.into();
        let channel = Channel::new(Arc::clone(&topic), name, kind, app);
        self.channels.insert(topic, channel);
        Some(())
    }

    /// What follows from a change of a channel: topics to listen to, calls to make, times to keep.
    fn look_after(&mut self, topic: &str) {
        let Some(channel) = self.channels.get_mut(topic) else {
            return;
        };
        let topic = Arc::clone(&channel.topic);
        let now = self.now;
        let is_reached = self.servers.link_of(channel.slot).is_some();
        let is_wanted = channel.is_wanted();
        if std::mem::take(&mut channel.doubts_memory) && !self.beats_early {
            self.beats_early = true;
            let at = now + AHEAD_OF_HEARTBEAT;
            self.timers.push(Reverse((at, Timer::Heartbeat)));
        }
        if is_wanted && channel.listening == Asked::No && is_reached {
            channel.listening = Asked::UnderWay;
            self.servers.listen(channel.slot, Arc::clone(&topic));
        }
        let must_be_listed = is_wanted || !channel.orphans.is_empty();
        let link_of_list = || {
            let node = self.ids.current.to_string();
            self.servers.link_of(slot(&self.keys.topics_of(&node)))
        };
        let lists = must_be_listed
            && channel.listed == Asked::No
            && self.is_counted
            && link_of_list().is_some();
        if lists {
            channel.listed = Asked::UnderWay;
            channel.may_be_listed = true;
        }
        if channel.wants_call(self.is_counted, now) && !channel.is_queued && is_reached {
            channel.is_queued = true;
            let lane = calls::lane_of(channel, self.is_counted);
            self.servers
                .queue(channel.slot, lane)
                .push_back(Job::Channel(Arc::clone(&topic)));
        }
        let timer = channel.next_timer(now, LISTENS_ON_FOR);
        if let Some(at) = timer {
            self.at(at, Timer::Channel(Arc::clone(&topic)));
        }
        if lists {
            self.list(&topic);
        }
    }

    fn on_channel_time(&mut self, topic: &Topic, now: Instant) {
        let Some(channel) = self.channels.get_mut(topic) else {
            return;
        };
        channel.timer_at = None;
        if channel.next_due.is_some_and(|due| due <= now) {
            channel.flush_due(false);
        }
        channel.reconcile(now);
        let is_over = channel
            .idle_since
            .is_some_and(|since| now.duration_since(since) >= LISTENS_ON_FOR);
        if is_over && channel.is_disposable() {
            self.dispose(topic);
        } else {
            self.look_after(topic);
        }
    }

    /// Forgets a channel that nobody has a use for.
    fn dispose(&mut self, topic: &Topic) {
        let Some(channel) = self.channels.remove(topic) else {
            return;
        };
        if channel.listening != Asked::No {
            if channel.listening == Asked::Done {
                self.metrics.subscriptions.dec();
            }
            self.servers.stop_listening(channel.slot, Arc::clone(topic));
        }
        if channel.may_be_listed {
            self.unlist(topic);
        }
    }

    fn topics(&self) -> VecDeque<Topic> {
        self.channels.keys().cloned().collect()
    }
}

/// What a node's user of Redis may have to do.
fn rights(settings: &Settings) -> Rights {
    let is_cluster = matches!(settings.target, Target::Cluster(_));
    Rights::new(&settings.prefix, is_cluster)
}
