//! The source of the live stream: what passes through the relay, for people who watch.
//!
//! - [`event`]: what can be seen, and its JSON
//! - [`filter`]: which of it a watcher wants
//! - [`inbox`]: the queue between the two
//! - [`watcher`], [`watchers`]: one who watches, and all of them
//!
//! Nobody watching, an [`emit`](Tap::emit) costs one relaxed atomic load. Watched, every event
//! costs a look at each watcher's filter, and at most [`MAX_EVENTS_PER_SECOND`] a second are
//! encoded; what goes beyond is left out and reported as a number. Nothing here ever waits for
//! a watcher.

mod event;
mod filter;
mod inbox;
mod watcher;
mod watchers;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

pub use self::event::{Kind, TapEvent};
pub use self::filter::{Filter, Pattern, PatternError};
pub use self::watcher::Watcher;
#[cfg(test)]
pub use self::watchers::MAX_WATCHERS;
pub use self::watchers::WatchError;
use self::watchers::Watchers;

/// Events encoded in a second, over all watchers: each has an equal share, so that one who
/// watches everything takes nothing from one who looks at a single quiet channel.
pub const MAX_EVENTS_PER_SECOND: usize = 2_000;

/// Where events are emitted and watchers come from. Clones share the watchers.
#[derive(Clone, Debug, Default)]
pub struct Tap {
    watchers: Arc<Watchers>,
}

impl Tap {
    /// A tap that nobody watches.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether anybody watches.
    #[inline]
    pub fn watched(&self) -> bool {
        self.watchers.any()
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
        let watchers = self.watchers.read();
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
        let inbox = self.watchers.enter(filter)?;
        Ok(Watcher::new(Arc::clone(&self.watchers), inbox))
    }

    /// Ends every watcher, after what it has queued, and admits no more.
    pub fn close(&self) {
        self.watchers.close();
    }
}

fn unix_millis() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    since_1970.map_or(0, |time| time.as_millis() as u64)
}

#[cfg(test)]
mod tests;
