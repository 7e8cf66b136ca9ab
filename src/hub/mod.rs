//! Who is connected and subscribed, and how an event reaches them.
//!
//! Two levels. A [`shard`] belongs to one worker thread: its connections and, per channel, a
//! dense list of those subscribed; nobody else touches it, so it has no locks. The
//! [`directory`] belongs to the app and knows which shards have subscribers of a channel, and
//! how many. The only way from the one to the other is a shard's [`mailbox`], a FIFO: whatever
//! is posted under a channel's lock is seen in one order by all subscribers.
//!
//! A module imports only those above it in this list, which a test holds it to:
//!
//! - [`broadcast`]: one event on its way, and the room it takes
//! - [`backlog`]: how much may wait for other nodes
//! - [`outcome`]: what comes of asking an authority
//! - [`inspected`]: what a connection is like, for people who look
//! - [`mailbox`]: the commands to shards
//! - [`moves`]: what a connection asks for
//! - [`inspector`]: looks at connections, in no hurry
//! - [`directory`]: who listens, and where; the members; who is online
//! - [`app`]: one app at work, with the moves of a single node and those of one that has copies
//! - [`apps`]: all of them, while they come, change and go
//! - [`authority`]: who decides about joins and leaves
//! - [`shard`]: one thread's connections, its fan-out, its deadlines
//! - `testing`: connections without sockets

pub mod broadcast;

mod backlog;

mod outcome;

mod inspected;

mod mailbox;

mod moves;

mod inspector;

mod directory;

mod app;

mod apps;

mod authority;

mod shard;

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use parking_lot::Mutex;

pub use app::{AppHub, AppPermit, ParkPermit, idempotency};
pub use apps::{Apps, Changes, Knowledge};
pub use authority::Authority;
pub use backlog::{Admission, Backlog, Rank};
pub use broadcast::{Broadcast, Caching};
pub use directory::{COUNT_AT_ONCE, COUNT_INTERVAL};
pub use inspected::{CarriedBy, ConnectionReport};
pub use inspector::{Inspector, NoAnswer, Position};
pub use mailbox::Mailbox;
pub use moves::{Join, Leave, PeerHandle, SignIn};
pub use outcome::{
    Answer, CachedEvent, ChannelReport, ChannelState, Detail, Receipt, Standing, Unavailable,
};
pub use shard::{Carrier, Fallback, Flushed, Outlives, Peer, Registration, Shard, leave_all};

use crate::apps::{App, Registry, Source};
use crate::metrics::Metrics;
use crate::net::tally::{Full, Permit, Tally};
use crate::protocol::{CloseCode, Compression};
use crate::session::CloseReason;
use crate::webhooks::Webhooks;
use mailbox::{AppIndex, Control};

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
    apps: Arc<Apps>,
    mailboxes: Mutex<Vec<Arc<Mailbox>>>,
    metrics: Metrics,
    connections: Arc<Tally>,
    max_connections: usize,
    compression: Compression,
    draining: OnceLock<Drain>,
}

impl Hub {
    /// A hub for these apps that takes at most `max_connections` sockets in all.
    pub fn new(
        registry: &Registry,
        webhooks: &Webhooks,
        metrics: Metrics,
        max_connections: usize,
    ) -> Self {
        let apps = Apps::new(metrics.clone(), webhooks.clone());
        let records = registry.iter().map(Arc::clone).collect();
        apps.set(Source::Configuration, records);
        Self {
            apps: Arc::new(apps),
            mailboxes: Mutex::default(),
            metrics,
            connections: Arc::default(),
            max_connections,
            compression: Compression::default(),
            draining: OnceLock::new(),
        }
    }

    /// The same, with events that are compressed like this for those connections that agree on it.
    pub fn with_compression(self, compression: Compression) -> Self {
        Self {
            compression,
            ..self
        }
    }

    /// The app with this id, enabled or not.
    pub fn app(&self, id: &str) -> Option<Arc<AppHub>> {
        self.apps.by_id(id)
    }

    /// The app that this key belongs to, enabled or not.
    pub fn app_by_key(&self, key: &str) -> Option<Arc<AppHub>> {
        self.apps.by_key(key)
    }

    /// All apps.
    pub fn apps(&self) -> &Arc<Apps> {
        &self.apps
    }

    /// These are the apps of the source from now on. Connections to those that are gone or disabled are closed.
    /// Webhooks must have been started before, if any of the apps has some.
    pub fn set_apps(&self, source: Source, apps: Vec<Arc<App>>) -> Changes {
        let changes = self.apps.set(source, apps);
        self.apps.forget_left();
        for (app, reason) in &changes.closing {
            self.close_all_of(*app, &Arc::new(reason.clone()));
        }
        changes
    }

    /// Looks at the app's connections on this node.
    pub fn inspect(&self, app: &AppHub) -> Inspector {
        Inspector::new(self.mailboxes.lock().clone(), app.index)
    }

    /// Closes all of the app's connections on this node.
    pub fn close_app(&self, app: &AppHub, reason: CloseReason) {
        self.close_all_of(app.index, &Arc::new(reason));
    }

    fn close_all_of(&self, app: AppIndex, reason: &Arc<CloseReason>) {
        for mailbox in &*self.mailboxes.lock() {
            mailbox.send(Control::CloseApp {
                app,
                reason: Arc::clone(reason),
            });
        }
    }

    /// Makes the shard of the calling worker thread. Its connections' moves are for `authority` to
    /// decide.
    pub fn register_shard(&self, authority: Arc<dyn Authority>) -> Shard {
        let mut mailboxes = self.mailboxes.lock();
        let index = mailboxes.len();
        let mailbox = Arc::new(Mailbox::new());
        mailboxes.push(Arc::clone(&mailbox));
        let metrics = self.metrics.worker(index);
        Shard::new(mailbox, authority, self.compression, metrics)
    }

    /// Counts a socket in for as long as the permit lives, unless as many are open as the process
    /// may have.
    pub fn admit(&self) -> Result<Permit, Full> {
        self.connections.try_enter(self.max_connections)
    }

    /// The sockets that are open now.
    pub fn connections(&self) -> &Tally {
        &self.connections
    }

    /// Waits until no connection is open, and no session waits for its client.
    pub async fn emptied(&self) {
        self.connections.emptied().await;
        for app in self.apps.at_work() {
            app.parked().emptied().await;
        }
    }

    /// Whether the relay is going away.
    pub fn is_draining(&self) -> bool {
        self.draining().is_some()
    }

    /// Where clients are to go, if the relay is going away.
    pub fn draining(&self) -> Option<Drain> {
        self.draining.get().copied()
    }

    /// The relay is going away: nobody new is admitted.
    pub fn begin_draining(&self, drain: Drain) {
        // Whoever comes second has nothing to add.
        let _ = self.draining.set(drain);
    }

    /// Tells webhooks that everybody leaves, before [`Hub::close_all`]. To be called on a node that
    /// decides about its channels by itself.
    pub fn all_depart(&self) {
        for app in self.apps.at_work() {
            app.all_depart();
        }
    }

    /// Closes every connection of every shard with this code, so that clients connect again.
    pub fn close_all(&self, code: CloseCode) {
        // Those who leave from now on all leave together: no one is left to be notified.
        for app in self.apps.at_work() {
            app.fall_silent();
        }
        let reason = Arc::new(CloseReason::new(
            code,
            "the relay is going away: connect again",
        ));
        for mailbox in &*self.mailboxes.lock() {
            mailbox.send(Control::CloseEveryone {
                reason: Arc::clone(&reason),
            });
        }
    }

    /// What has to be done now and then: counts and departures that are due, cached events and answers that have
    /// expired.
    pub fn housekeeping(&self, now: Instant) {
        for app in self.apps.at_work() {
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
