//! The node as one of several.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::cluster::redis::entry::{NodeId, NodeIds, VERSION};

/// How far the node is with leaving the others.
#[derive(Debug, Default)]
pub(super) enum Leaving {
    #[default]
    No,
    /// It is to go, and whoever wants that waits.
    UnderWay(oneshot::Sender<()>),
    Done,
}

/// What Redis knows of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Membership {
    /// Nothing, under its present id.
    New,
    /// It was among those alive, and may not be any more.
    Uncertain,
    /// It is among those alive.
    Counted,
}

/// How far a node is with what a dead one has left.
#[derive(Clone, Copy, Debug)]
pub(super) struct CleaningUp {
    /// Channels that are still to be cleaned up.
    pub(super) left: usize,
    /// Whether there are others, which are left to nodes that know their apps.
    pub(super) leaves_some: bool,
    /// Whether a server was reached anew meanwhile, which may have again what was cleaned up.
    pub(super) starts_over: bool,
}

impl CleaningUp {
    /// It is not known yet which channels there are.
    pub(super) fn begun() -> Self {
        Self {
            left: usize::MAX,
            leaves_some: false,
            starts_over: false,
        }
    }
}

/// What a dead node has left of apps that this one does not know.
#[derive(Debug)]
pub(super) struct LeftToOthers {
    pub(super) since: Instant,
    pub(super) apps: HashSet<Box<str>>,
}

/// The node as one of several.
pub(super) struct Life {
    pub(super) ids: NodeIds,
    pub(super) membership: Membership,
    /// When Redis last acknowledged that the node is alive.
    pub(super) pulse_at: Instant,
    /// The version that all nodes read.
    pub(super) version: u8,
    /// After how much silence any node is dead at most.
    pub(super) longest_timeout: Duration,
    /// Dead nodes that are being cleaned up after.
    pub(super) dead: HashMap<String, CleaningUp>,
    /// Dead nodes of whose channels some are left to others.
    pub(super) left_to_others: HashMap<String, LeftToOthers>,
    /// Earlier ids of this node that are among those that are gone.
    buried: HashSet<NodeId>,
    /// Whether the next heartbeat is not waited for.
    beats_early: bool,
    pub(super) leaving: Leaving,
}

impl Life {
    pub(super) fn new(id: NodeId, node_timeout: Duration, now: Instant) -> Self {
        Self {
            ids: NodeIds::new(id),
            membership: Membership::New,
            pulse_at: now,
            version: VERSION,
            longest_timeout: node_timeout,
            dead: HashMap::new(),
            left_to_others: HashMap::new(),
            buried: HashSet::new(),
            beats_early: false,
            leaving: Leaving::No,
        }
    }

    /// Whether Redis has this node among those alive since it was last reached.
    pub(super) fn is_counted(&self) -> bool {
        self.membership == Membership::Counted
    }

    pub(super) fn is_not_counted(&mut self) {
        if self.is_counted() {
            self.membership = Membership::Uncertain;
        }
    }

    pub(super) fn is_leaving(&self) -> bool {
        matches!(self.leaving, Leaving::UnderWay(_))
    }

    /// The node, which this one may have been, is among those that are gone.
    pub(super) fn note_buried(&mut self, node: &str) {
        let earlier: Vec<NodeId> = self.ids.earlier().collect();
        self.buried.retain(|id| earlier.contains(id));
        let mut own = earlier.into_iter().filter(|id| id.to_string() == node);
        self.buried.extend(own.next());
    }

    /// Earlier ids of this node of which something may be left.
    pub(super) fn unburied(&self) -> Vec<String> {
        let earlier = self.ids.earlier();
        let unburied = earlier.filter(|id| !self.buried.contains(id));
        unburied.map(|id| id.to_string()).collect()
    }

    /// A heartbeat is to be made ahead of its time. False: one is about to be anyway.
    pub(super) fn hurry(&mut self) -> bool {
        !std::mem::replace(&mut self.beats_early, true)
    }

    /// A heartbeat is made.
    pub(super) fn on_beat(&mut self) {
        self.beats_early = false;
    }
}
