//! What can fail, and for how long.

use protocol_tests::Signal;
use protocol_tests::cluster::NODE_TIMEOUT;
use protocol_tests::random::Random;

use crate::world::{NODES, World};

/// Bytes a second of a link that is slow.
const SLOW: u32 = 20_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The link of a node is closed, and new connections too.
    Cut,
    /// The link of a node passes nothing on.
    Hold,
    /// The link of a node is slow.
    Slow,
    /// A node dies at once.
    Kill,
    /// A node stands still.
    Freeze,
    /// Redis stands still.
    Pause,
    /// Redis closes all of its connections.
    Close,
    /// Redis forgets everything while its connections hold.
    Flush,
    /// Redis dies, and is empty afterwards.
    Empty,
    /// Redis dies, and has old data afterwards.
    Old,
}

/// The kinds of a run that does not say otherwise.
const DEFAULT: &str = "cut,hold,slow,kill,freeze,pause,close,flush,empty,old";

const KINDS: [(&str, Kind); 10] = [
    ("cut", Kind::Cut),
    ("hold", Kind::Hold),
    ("slow", Kind::Slow),
    ("kill", Kind::Kill),
    ("freeze", Kind::Freeze),
    ("pause", Kind::Pause),
    ("close", Kind::Close),
    ("flush", Kind::Flush),
    ("empty", Kind::Empty),
    ("old", Kind::Old),
];

#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    /// Where, if it is one of a node.
    pub(crate) node: usize,
    pub(crate) milliseconds: u64,
}

impl Kind {
    /// Those that the environment names, or else those of [`DEFAULT`].
    pub(crate) fn chosen() -> Vec<Kind> {
        let names = std::env::var("PROTOCOL_TESTS_CHAOS_FAULTS");
        let names = names.unwrap_or_else(|_| DEFAULT.to_owned());
        let named = |name: &str| {
            let mut known = KINDS.iter().filter(|(known, _)| *known == name);
            let (_, kind) = known
                .next()
                .unwrap_or_else(|| panic!("there is no fault {name:?}"));
            *kind
        };
        names.split(',').map(named).collect()
    }

    fn is_of_redis(self) -> bool {
        use Kind::{Close, Empty, Flush, Old, Pause};
        matches!(self, Pause | Close | Flush | Empty | Old)
    }

    /// Whether Redis loses what it knew.
    pub(crate) fn forgets(self) -> bool {
        matches!(self, Kind::Flush | Kind::Empty | Kind::Old)
    }
}

impl Fault {
    /// One of these kinds, shorter or longer than the time after which a node counts as dead.
    pub(crate) fn random(kinds: &[Kind], random: &mut Random) -> Fault {
        let kind = kinds[random.below(kinds.len())];
        let milliseconds = match random.below(2) {
            0 => 200 + random.below(1000),
            _ => 1000 * NODE_TIMEOUT as usize + 500 + random.below(2500),
        };
        Fault {
            kind,
            node: random.below(NODES),
            milliseconds: milliseconds as u64,
        }
    }

    /// Whether both cannot be at once: the one would have to work on what the other has taken away, or nobody is left
    /// who knows what webhooks were sent of a node.
    pub(crate) fn excludes(&self, other: &Fault) -> bool {
        if self.leaves_no_trace(other) || other.leaves_no_trace(self) {
            return true;
        }
        match (self.kind.is_of_redis(), other.kind.is_of_redis()) {
            (true, true) => true,
            (false, false) => self.node == other.node,
            _ => false,
        }
    }

    /// Whether Redis forgets when a node may be given up, or has not reported again what was forgotten when it is.
    fn leaves_no_trace(&self, node: &Fault) -> bool {
        let is_of_node = self.kind.forgets() && !node.kind.is_of_redis();
        let is_given_up = node.kind == Kind::Kill
            || node.is_long()
            || (self.kind == Kind::Flush && self.is_long());
        is_of_node && is_given_up
    }

    /// Whether it is Redis that fails, and not a node or its link.
    pub(crate) fn is_of_redis(&self) -> bool {
        self.kind.is_of_redis()
    }

    /// Whether the cluster may have to give somebody up meanwhile, on a machine that is busy.
    pub(crate) fn is_long(&self) -> bool {
        self.milliseconds >= u64::from(NODE_TIMEOUT) * 500
    }

    pub(crate) async fn begin(&self, world: &mut World) {
        let node = self.node;
        match self.kind {
            Kind::Cut => world.proxies[node].cut(),
            Kind::Hold => world.proxies[node].hold(),
            Kind::Slow => world.proxies[node].limit(SLOW),
            Kind::Kill => world.kill(node).await,
            Kind::Freeze => {
                world.frozen[node] = true;
                world.cluster[node].signal(Signal::Stop);
            }
            Kind::Pause => world.redis.pause(),
            Kind::Close => {
                for id in world.redis.clients().await {
                    world.redis.close_client(&id).await;
                }
            }
            Kind::Flush => world.redis.command(&redis::cmd("FLUSHALL")).await,
            Kind::Empty | Kind::Old => world.redis.kill().await,
        }
    }

    pub(crate) async fn end(&self, world: &mut World) {
        let node = self.node;
        match self.kind {
            Kind::Cut | Kind::Hold | Kind::Slow => world.proxies[node].restore(),
            Kind::Kill => world.launch(node).await,
            Kind::Freeze => {
                world.cluster[node].signal(Signal::Continue);
                world.frozen[node] = false;
            }
            Kind::Pause => world.redis.resume(),
            Kind::Close | Kind::Flush => {}
            Kind::Empty => world.redis.restart().await,
            Kind::Old => world.redis.restart_as_saved().await,
        }
    }
}
