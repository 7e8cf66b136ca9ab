//! What all threads see of the one that speaks to Redis.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::request::Requests;
use super::rights::Lack;
use crate::hub::Standing;

/// What all threads see of the one that speaks to Redis.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) requests: Requests,
    standing: AtomicU8,
    /// What Redis does not let this node do, though it is there.
    pub(super) lack: Mutex<Option<Lack>>,
    /// Whether the node goes, and takes no more events.
    pub(super) is_leaving: AtomicBool,
    /// Whoever looks at the database of apps, if there is one, is to look when another node has changed it.
    pub(super) apps_changed: OnceLock<Arc<Notify>>,
    /// How many nodes there were when Redis was asked last, this one among them; 0: it was not asked yet.
    nodes: AtomicUsize,
}

impl Shared {
    /// Whether other nodes are there, or may be, as nothing is known yet.
    pub(super) fn has_others(&self) -> bool {
        self.nodes.load(Ordering::Relaxed) != 1
    }

    pub(super) fn set_nodes(&self, nodes: usize) {
        self.nodes.store(nodes, Ordering::Relaxed);
    }

    pub(super) fn standing(&self) -> Standing {
        match self.standing.load(Ordering::Acquire) {
            3 => Standing::Well,
            2 => Standing::Away,
            1 => Standing::Refused,
            _ => Standing::NotYet,
        }
    }

    pub(super) fn set_standing(&self, standing: Standing) {
        let standing = match standing {
            Standing::Well => 3,
            Standing::Away => 2,
            Standing::Refused => 1,
            Standing::NotYet => 0,
        };
        self.standing.store(standing, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_there_unless_redis_has_named_this_node_alone() {
        let shared = Shared::default();
        assert!(shared.has_others(), "nothing is known yet");
        for (nodes, has_others) in [(1, false), (2, true), (1, false)] {
            shared.set_nodes(nodes);
            assert_eq!(shared.has_others(), has_others);
        }
    }
}
