//! The node as a whole.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;

use super::io::Io;
use super::jobs::{Job, Plain, Then};
use super::left::Left;
use super::life::Life;
use super::memory::KnownMemory;
use super::recent::Recent;
use super::servers::Servers;
use super::timers::{Timer, Timers};
use crate::cluster::redis::channel::{Channel, LossLog};
use crate::cluster::redis::entry::NodeId;
use crate::cluster::redis::keys::{self, Keys, Topic};
use crate::cluster::redis::ledger::Ledger;
use crate::cluster::redis::request::Settlement;
use crate::cluster::redis::rights::Rights;
use crate::cluster::redis::settings::{Settings, Target};
use crate::cluster::redis::shared::Shared;
use crate::hub::Apps;
use crate::metrics::ClusterMetrics;
use crate::throttle::Throttle;

/// How long entries are kept beyond the time that a node may be away without being given up.
const HISTORY: Duration = Duration::from_secs(30);

/// What does not change while a node is at work.
pub(super) struct Setup {
    pub(super) settings: Settings,
    pub(super) keys: Keys,
    pub(super) rights: Rights,
    pub(super) shared: Arc<Shared>,
    pub(super) metrics: ClusterMetrics,
    pub(super) apps: Arc<Apps>,
    /// Where nodes let each other know that they have changed the apps of a database, if there is one.
    pub(super) apps_topic: Option<Topic>,
    /// Milliseconds that an entry is kept.
    pub(super) history_ms: u64,
}

/// What is dealt with later.
#[derive(Default)]
pub(super) struct Postponed {
    /// Calls that were refused for a while.
    pub(super) calls: Vec<Plain>,
    /// Idempotency keys whose fate Redis does not know yet.
    pub(super) settlements: Vec<Settlement>,
    /// Topics that are still among those that the node has to do with.
    pub(super) left: Left,
    /// Calls that could not be made, and are followed up when all else that has come of it is done.
    pub(super) unasked: VecDeque<Then>,
}

/// Does no IO and reads no clock: it is given what has happened and when, and returns what is to be done.
pub(super) struct Node {
    /// When what it deals with came.
    pub(super) now: Instant,
    pub(super) rng: StdRng,
    /// What is to be done that takes time.
    pub(super) io: Vec<Io>,
    pub(super) timers: Timers,
    pub(super) setup: Setup,
    pub(super) life: Life,
    pub(super) memory: KnownMemory,
    pub(super) servers: Servers,
    pub(super) channels: HashMap<Topic, Channel>,
    /// The number of the last call about a channel.
    pub(super) number: u64,
    pub(super) postponed: Postponed,
    pub(super) recent: Recent,
    pub(super) ledger: RefCell<Ledger>,
    /// How often it is logged that Redis refuses something.
    pub(super) refusals: Throttle,
    /// What is missing, and not logged yet.
    pub(super) losses: RefCell<LossLog>,
}

impl Node {
    pub(super) fn new(
        settings: Settings,
        shared: Arc<Shared>,
        metrics: ClusterMetrics,
        apps: Arc<Apps>,
        mut rng: StdRng,
        now: Instant,
    ) -> Self {
        let mut timers = Timers::default();
        timers.set(now, Timer::Discover);
        let keys = Keys::new(&settings.prefix);
        let history = HISTORY + settings.node_timeout;
        let has_database = shared.apps_changed.get().is_some();
        let ledger = Ledger::new(history, settings.total_log_bytes);
        Self {
            now,
            io: Vec::new(),
            timers,
            life: Life::new(NodeId::random(&mut rng), settings.node_timeout, now),
            rng,
            memory: KnownMemory::new(keys.memory().into(), now),
            servers: Servers::new(&settings.target),
            channels: HashMap::new(),
            number: 0,
            postponed: Postponed::default(),
            recent: Recent::default(),
            ledger: RefCell::new(ledger),
            refusals: Throttle::default(),
            losses: RefCell::default(),
            setup: Setup {
                rights: rights(&settings),
                apps_topic: has_database.then(|| keys.apps().into()),
                settings,
                keys,
                shared,
                metrics,
                apps,
                history_ms: history.as_millis() as u64,
            },
        }
    }

    /// Something is to be looked after then.
    pub(super) fn at(&mut self, at: Instant, timer: Timer) {
        self.timers.set(at, timer);
    }

    pub(super) fn node(&self) -> NodeId {
        self.life.ids.current
    }

    /// Whether the server that has the key is reached.
    pub(super) fn can_ask(&self, key: &str) -> bool {
        self.servers.link_of(keys::slot(key)).is_some()
    }

    /// Has a call made that is about no channel; one that cannot be made has no answer.
    pub(super) fn call(&mut self, plain: Plain) {
        if self.servers.link_of(plain.slot).is_some() {
            let queue = self.servers.queue(plain.slot, plain.lane);
            queue.push_back(Job::Plain(plain));
        } else {
            self.postponed.unasked.push_back(plain.then);
        }
    }
}

/// What a node's user of Redis may have to do.
pub(super) fn rights(settings: &Settings) -> Rights {
    let is_cluster = matches!(settings.target, Target::Cluster(_));
    Rights::new(&settings.prefix, is_cluster)
}
