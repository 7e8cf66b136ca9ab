//! One who watches.

use std::fmt;
use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use super::inbox::{Inbox, Taken};
use super::watchers::Watchers;

/// The receiving side. Dropping it ends the watching.
pub struct Watcher {
    all: Arc<Watchers>,
    inbox: Arc<Inbox>,
}

impl Watcher {
    pub(super) fn new(all: Arc<Watchers>, inbox: Arc<Inbox>) -> Self {
        Self { all, inbox }
    }

    /// The next JSON object: an event, or `{"type":"dropped","count":n}` for events that were
    /// left out, reported about a second after the first of them. `None` when the tap is
    /// closed and all has been taken. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Arc<str>> {
        loop {
            let changed = self.inbox.changed();
            match self.inbox.take(Instant::now()) {
                Taken::Line(line) => return Some(line),
                Taken::End => return None,
                Taken::Nothing { until: None } => changed.await,
                // Elapsed or not, the next round looks again.
                Taken::Nothing { until: Some(until) } => drop(timeout_at(until, changed).await),
            }
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.all.leave(&self.inbox);
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher")
            .field("filter", self.inbox.filter())
            .finish_non_exhaustive()
    }
}
