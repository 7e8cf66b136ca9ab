//! The node as one of several.

use std::collections::HashMap;
use std::time::Instant;

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

/// The node as one of several.
pub(super) struct Life {
    pub(super) ids: NodeIds,
    pub(super) membership: Membership,
    /// When Redis last acknowledged that the node is alive.
    pub(super) pulse_at: Instant,
    /// The version that all nodes read.
    pub(super) version: u8,
    /// Dead nodes, with the channels that are still to be cleaned up.
    pub(super) dead: HashMap<String, usize>,
    /// Whether the next heartbeat is not waited for.
    beats_early: bool,
    pub(super) leaving: Leaving,
}

impl Life {
    pub(super) fn new(id: NodeId, now: Instant) -> Self {
        Self {
            ids: NodeIds::new(id),
            membership: Membership::New,
            pulse_at: now,
            version: VERSION,
            dead: HashMap::new(),
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

    /// A heartbeat is to be made ahead of its time. False: one is about to be anyway.
    pub(super) fn hurry(&mut self) -> bool {
        !std::mem::replace(&mut self.beats_early, true)
    }

    /// A heartbeat is made.
    pub(super) fn on_beat(&mut self) {
        self.beats_early = false;
    }
}
