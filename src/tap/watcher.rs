//! One who watches.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use super::inbox::{Inbox, Taken};
use super::watchers::Watchers;

/// How long what comes adds up while more has just been taken: waking a watcher for every event costs the
/// relay more than the events.
const PACE: Duration = Duration::from_millis(25);

/// The receiving side. Dropping it ends the watching.
pub struct Watcher {
    all: Arc<Watchers>,
    inbox: Arc<Inbox>,
    /// When the inbox is looked into again at the earliest, once it was empty.
    look_at: Instant,
}

impl Watcher {
    pub(super) fn new(all: Arc<Watchers>, inbox: Arc<Inbox>) -> Self {
        let look_at = Instant::now();
        Self {
            all,
            inbox,
            look_at,
        }
    }

    /// The next JSON object: an event, or `{"type":"dropped","count":n}` for events that were
    /// left out, reported about a second after the first of them. `None` when the tap is
    /// closed and all has been taken. What comes in quick succession comes together, 25 ms late at
    /// most. Nothing is lost when the future is dropped.
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
            sleep_until(self.look_at).await;
            self.look_at = Instant::now() + PACE;
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
