//! What is at hand when a channel acts.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use super::loss_log::LossLog;
use crate::cluster::redis::entry::NodeIds;
use crate::cluster::redis::ledger::Ledger;
use crate::cluster::redis::link::LinkId;
use crate::cluster::redis::outgoing::PublishContext;
use crate::metrics::ClusterMetrics;

/// The node, but for its channels.
pub(in crate::cluster::redis) struct Context<'a> {
    /// When what the channel acts upon came.
    pub(in crate::cluster::redis) now: Instant,
    pub(in crate::cluster::redis) metrics: &'a ClusterMetrics,
    pub(in crate::cluster::redis) publishing: PublishContext<'a>,
    pub(in crate::cluster::redis) own: &'a NodeIds,
    /// The connection to Redis, or the part of it that the channel is on; None: it is away.
    pub(in crate::cluster::redis) link: Option<LinkId>,
    /// The key of what shows whether Redis has lost anything, and the name that the node knows, where
    /// a call about a channel can look at it.
    pub(in crate::cluster::redis) memory: Option<(&'a str, &'a str)>,
    /// Whether other nodes may not have announced again yet what Redis has lost.
    pub(in crate::cluster::redis) is_doubtful: bool,
    pub(in crate::cluster::redis) leave_delay: Duration,
    /// After how much silence any node is dead at most.
    pub(in crate::cluster::redis) node_timeout: Duration,
    /// What the node has written to logs.
    pub(in crate::cluster::redis) ledger: &'a RefCell<Ledger>,
    /// What is missing, and not logged yet.
    pub(in crate::cluster::redis) losses: &'a RefCell<LossLog>,
}

impl Context<'_> {
    pub(super) fn is_away(&self) -> bool {
        self.link.is_none()
    }
}
