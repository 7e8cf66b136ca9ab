//! The source of the live stream: what passes through the relay, for people who watch.
//!
//! - [`event`]: what can be seen, and its JSON
//! - [`filter`]: which of it a watcher wants
//! - [`watcher`]: the queue between the two
//!
//! Nobody watching, an [`emit`](Tap::emit) costs one relaxed atomic load. Watched, every event
//! costs a look at each watcher's filter, and at most [`MAX_EVENTS_PER_SECOND`] a second are
//! encoded; what goes beyond is left out and reported as a number. Nothing here ever waits for
//! a watcher.

mod event;
mod filter;
mod watcher;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::RwLock;
use tokio::time::Instant;

pub use self::event::{Kind, TapEvent};
pub use self::filter::{Filter, Pattern, PatternError};
use self::watcher::Inbox;
pub use self::watcher::Watcher;

/// Events encoded in a second, over all watchers: each has an equal share, so that one who
/// watches everything takes nothing from one who looks at a single quiet channel.
pub const MAX_EVENTS_PER_SECOND: usize = 2_000;

/// Watchers at the same time.
pub const MAX_WATCHERS: usize = 8;

/// Where events are emitted and watchers come from. Clones share the watchers.
#[derive(Clone, Debug, Default)]
pub struct Tap {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Whether `watchers` has any; written under its lock.
    watched: AtomicBool,
    watchers: RwLock<Watchers>,
}

#[derive(Debug, Default)]
struct Watchers {
    inboxes: Vec<Arc<Inbox>>,
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

impl Tap {
    /// A tap that nobody watches.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether anybody watches.
    #[inline]
    pub fn watched(&self) -> bool {
        self.shared.watched.load(Ordering::Relaxed)
    }

    /// Shows an event to the watchers who want it. Does not even build it when nobody watches.
    #[inline]
    pub fn emit<'a>(&self, event: impl FnOnce() -> TapEvent<'a>) {
        if self.watched() {
            self.show(&event());
        }
    }

    #[cold]
    fn show(&self, event: &TapEvent<'_>) {
        let now = Instant::now();
        let watchers = self.shared.watchers.read();
        let share = MAX_EVENTS_PER_SECOND / watchers.inboxes.len().max(1);
        let mut encoded: Option<Arc<str>> = None;
        for inbox in &watchers.inboxes {
            if inbox.wants(event) && inbox.admits(now, share) {
                let line = encoded.get_or_insert_with(|| event.to_json(unix_millis()).into());
                inbox.push(Arc::clone(line));
            }
        }
    }

    /// Starts watching; events emitted from now on are seen. Ends when the watcher is dropped.
    pub fn watch(&self, filter: Filter) -> Result<Watcher, WatchError> {
        let mut watchers = self.shared.watchers.write();
        if watchers.closed {
            return Err(WatchError::Closed);
        }
        if watchers.inboxes.len() >= MAX_WATCHERS {
            return Err(WatchError::TooMany);
        }
        let inbox = Arc::new(Inbox::new(filter));
        watchers.inboxes.push(Arc::clone(&inbox));
        self.shared.watched.store(true, Ordering::Relaxed);
        Ok(Watcher::new(self.clone(), inbox))
    }

    /// Ends every watcher, after what it has queued, and admits no more.
    pub fn close(&self) {
        let mut watchers = self.shared.watchers.write();
        watchers.closed = true;
        self.shared.watched.store(false, Ordering::Relaxed);
        for inbox in watchers.inboxes.drain(..) {
            inbox.close();
        }
    }

    fn leave(&self, inbox: &Arc<Inbox>) {
        let mut watchers = self.shared.watchers.write();
        watchers.inboxes.retain(|other| !Arc::ptr_eq(other, inbox));
        let any = !watchers.inboxes.is_empty();
        self.shared.watched.store(any, Ordering::Relaxed);
    }
}

fn unix_millis() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    since_1970.map_or(0, |time| time.as_millis() as u64)
}

#[cfg(test)]
mod tests;
