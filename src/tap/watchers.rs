//! All who watch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{RwLock, RwLockReadGuard};

use super::filter::Filter;
use super::inbox::Inbox;

/// Watchers at the same time.
pub const MAX_WATCHERS: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Watchers {
    /// Whether there are any; written under the lock.
    any: AtomicBool,
    list: RwLock<List>,
}

#[derive(Debug, Default)]
pub(super) struct List {
    pub(super) inboxes: Vec<Arc<Inbox>>,
    closed: bool,
}

/// Why nobody more can watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatchError {
    /// [`MAX_WATCHERS`] are there already.
    #[error("{MAX_WATCHERS} watchers are there already, which is the most there can be")]
    TooMany,
    /// The relay is stopping.
    #[error("the relay is stopping")]
    Closed,
}

impl Watchers {
    #[inline]
    pub(super) fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, List> {
        self.list.read()
    }

    /// One more, unless there are too many.
    pub(super) fn enter(&self, filter: Filter) -> Result<Arc<Inbox>, WatchError> {
        let mut list = self.list.write();
        if list.closed {
            return Err(WatchError::Closed);
        }
        if list.inboxes.len() >= MAX_WATCHERS {
            return Err(WatchError::TooMany);
        }
        let inbox = Arc::new(Inbox::new(filter));
        list.inboxes.push(Arc::clone(&inbox));
        self.any.store(true, Ordering::Relaxed);
        Ok(inbox)
    }

    /// One less.
    pub(super) fn leave(&self, inbox: &Arc<Inbox>) {
        let mut list = self.list.write();
        list.inboxes.retain(|other| !Arc::ptr_eq(other, inbox));
        let any = !list.inboxes.is_empty();
        self.any.store(any, Ordering::Relaxed);
    }

    /// Nobody any more, now and later.
    pub(super) fn close(&self) {
        let mut list = self.list.write();
        list.closed = true;
        self.any.store(false, Ordering::Relaxed);
        for inbox in list.inboxes.drain(..) {
            inbox.close();
        }
    }
}
