//! Who is connected and subscribed, and how an event reaches them.
//!
//! Two levels. A [`shard`] belongs to one worker thread: its connections and, per channel, a
//! dense list of those subscribed; nobody else touches it, so it has no locks. The
//! [`directory`] belongs to the app and says which shards have subscribers of a channel, and
//! how many. The only way from the one to the other is a shard's [`mailbox`], a FIFO: whatever
//! is posted under a channel's lock is seen in one order by all subscribers.
//!
//! - [`app`]: one app at work: its directory, users, cache and quotas
//! - [`directory`], [`listeners`], [`roster`], [`count`]: channels, who listens, and members
//! - [`watchlist`]: who is online, and who is told of it
//! - [`authority`], [`answer`], [`backlog`]: who decides about joins and leaves, what it is asked
//!   for, and how much may wait for it; the moves of a single node
//! - [`shared`]: the moves of a node whose channels others share
//! - [`cache`]: the last event of cache channels
//! - [`idempotency`], [`answers`]: publishes that carry a key, and the answers to those done
//! - [`broadcast`]: one event on its way, and the room it takes
//! - [`mailbox`]: what shards are told
//! - [`shard`], [`delivery`], [`wheel`]: one thread's connections, its fan-out, its deadlines
//! - [`peer`], [`outbox`], [`registration`]: one connection as the shard knows it

pub mod answer;
mod answers;
pub mod app;
pub mod authority;
pub mod backlog;
pub mod broadcast;
mod cache;
mod count;
mod delivery;
mod directory;
pub mod idempotency;
mod listeners;
mod mailbox;
mod outbox;
mod peer;
mod registration;
mod roster;
mod shard;
mod shared;
mod watchlist;
mod wheel;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use parking_lot::Mutex;

pub use answer::Answer;
pub use app::AppHub;
pub use authority::{Authority, Join, Leave, Receipt, SignIn, Standing, Unavailable};
pub use backlog::{Admission, Backlog, Rank};
pub use broadcast::{Broadcast, Room};
pub use directory::{ChannelState, Wanted};
pub use mailbox::Mailbox;
pub use peer::{Flushed, Peer, PeerId};
pub use registration::Registration;
pub use shard::Shard;

use crate::apps::Registry;
use crate::metrics::Metrics;
use crate::net::tally::{Full, Tally};
use crate::protocol::CloseCode;
use crate::session::CloseReason;
use crate::webhooks::Webhooks;
use mailbox::Command;

/// Where the clients of a relay that is going away are to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drain {
    /// To the other nodes, at once.
    ToOthers,
    /// Nowhere: they are to come back when the relay does.
    UntilRestart,
}

/// Everything that is connected to this node.
#[derive(Debug)]
pub struct Hub {
    registry: Registry,
    apps: HashMap<Box<str>, Arc<AppHub>>,
    mailboxes: Mutex<Vec<Arc<Mailbox>>>,
    metrics: Metrics,
    connections: Tally,
    max_connections: usize,
    draining: OnceLock<Drain>,
    authority: Arc<dyn Authority>,
}

impl Hub {
    /// A hub for these apps that takes at most `max_connections` sockets in all.
    pub fn new(
        registry: Registry,
        authority: &Arc<dyn Authority>,
        webhooks: &Webhooks,
        metrics: Metrics,
        max_connections: usize,
    ) -> Self {
        let apps = registry
            .iter()
            .map(|app| {
                let hub = AppHub::new(
                    Arc::clone(app),
                    Arc::clone(authority),
                    metrics.app(&app.id),
                    webhooks.app(&app.id).cloned(),
                );
                (app.id.clone(), Arc::new(hub))
            })
            .collect();
        Self {
            registry,
            apps,
            mailboxes: Mutex::default(),
            metrics,
            connections: Tally::default(),
            max_connections,
            draining: OnceLock::new(),
            authority: Arc::clone(authority),
        }
    }

    /// The app with this id, enabled or not.
    pub fn app(&self, id: &str) -> Option<&Arc<AppHub>> {
        self.apps.get(id)
    }

    /// All apps, enabled or not.
    pub fn apps(&self) -> impl Iterator<Item = &Arc<AppHub>> {
        self.apps.values()
    }

    /// The app that this key belongs to, enabled or not.
    pub fn app_by_key(&self, key: &str) -> Option<&Arc<AppHub>> {
        let (app, _) = self.registry.by_key(key)?;
        self.apps.get(&app.id)
    }

    /// Makes the shard of the calling worker thread.
    pub fn register_shard(&self) -> Shard {
        let mut mailboxes = self.mailboxes.lock();
        let index = mailboxes.len();
        let mailbox = Arc::new(Mailbox::new());
        mailboxes.push(Arc::clone(&mailbox));
        Shard::new(mailbox, self.metrics.worker(index))
    }

    /// Counts a socket in, unless as many are open as the process may have.
    pub fn admit(&self) -> Result<(), Full> {
        self.connections.try_add(self.max_connections)
    }

    /// The sockets that are open now; one that [`Hub::admit`] counted in is to be removed.
    pub fn connections(&self) -> &Tally {
        &self.connections
    }

    /// Whether this node can do all that it is there for.
    pub fn standing(&self) -> Standing {
        self.authority.standing()
    }

    /// Why the node is not well, where more is known than [`Hub::standing`] says.
    pub fn trouble(&self) -> Option<String> {
        self.authority.trouble()
    }

    /// Whether the relay is going away.
    pub fn is_draining(&self) -> bool {
        self.draining().is_some()
    }

    /// Where clients are to go, if the relay is going away.
    pub fn draining(&self) -> Option<Drain> {
        self.draining.get().copied()
    }

    /// The relay is going away: nobody new is let in.
    pub fn begin_draining(&self, drain: Drain) {
        // Whoever comes second has nothing to add.
        let _ = self.draining.set(drain);
    }

    /// Tells webhooks that everybody leaves, before [`Hub::close_all`]. To be called on a node that
    /// decides about its channels by itself.
    pub fn all_depart(&self) {
        for app in self.apps.values() {
            app.all_depart();
        }
    }

    /// Closes every connection of every shard with this code, so that clients connect again.
    pub fn close_all(&self, code: CloseCode) {
        // Those who leave from now on all leave together: no one is left to be told.
        for app in self.apps.values() {
            app.fall_silent();
        }
        let reason = Arc::new(CloseReason::new(
            code,
            "the relay is going away: connect again",
        ));
        for mailbox in &*self.mailboxes.lock() {
            mailbox.send(Command::CloseEveryone {
                reason: Arc::clone(&reason),
            });
        }
    }

    /// What has to be done now and then: counts and departures that are due, cached events and answers that have
    /// expired.
    pub fn housekeeping(&self, now: Instant) {
        for app in self.apps.values() {
            app.housekeeping(now);
        }
    }

    /// The numbers that the relay exports.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
