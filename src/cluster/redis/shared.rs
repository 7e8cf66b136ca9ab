//! What all threads see of the one that speaks to Redis.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use parking_lot::Mutex;

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
}

impl Shared {
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
