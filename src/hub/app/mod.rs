//! One app at work on this node.
//!
//! - [`local`]: its moves where a single node decides
//! - [`replica`]: its moves where others decide, and the node carries out
//! - [`permit`]: a connection that counts among its app's; [`mod@parked`]: sessions whose clients are away
//! - [`idempotency`], [`answers`]: publishes that carry a key, and the answers to those done

mod answers;
pub mod idempotency;
mod local;
mod parked;
mod permit;
mod replica;

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use parking_lot::Mutex;

use super::broadcast::Room;
use super::directory::{Channels, Users, Wanted, Watchlists};
use super::mailbox::AppIndex;
use super::outcome::ChannelState;
use crate::apps::{App, Limits, LiveApp};
use crate::metrics::AppMetrics;
use crate::net::budget::Budget;
use crate::net::rate::{Rate, SharedBucket};
use crate::net::tally::{Full, Tally};
use crate::protocol::{ChannelRef, CloseCode};
use crate::session::CloseReason;
use crate::webhooks::{AppWebhooks, Webhooks};
use idempotency::Idempotency;
pub use parked::ParkPermit;
use parked::Parked;
pub use permit::AppPermit;

/// An app with all that is going on in it. Nothing is shared between apps.
#[derive(Debug)]
pub struct AppHub {
    /// The app, with the record that holds at the moment.
    pub app: Arc<LiveApp>,
    /// The app's numbers.
    pub metrics: AppMetrics,
    /// The keys that publishes carry.
    pub idempotency: Idempotency,
    /// What threads name it by to one another.
    pub(super) index: AppIndex,
    room: ArcSwap<Room>,
    requests: ArcSwapOption<SharedBucket>,
    channels: Channels,
    users: Users,
    watchlists: Option<Watchlists>,
    webhooks: Arc<AppWebhooks>,
    connections: Arc<Tally>,
    parked: Arc<Parked>,
    kept: ArcSwap<Budget>,
    /// The record that all of it goes by.
    settled: Mutex<Arc<App>>,
    /// Why its connections are closed, if it is at work no more.
    retired: OnceLock<CloseReason>,
}

impl AppHub {
    pub(super) fn new(app: Arc<LiveApp>, metrics: AppMetrics, webhooks: Arc<AppWebhooks>) -> Self {
        let index = AppIndex::next();
        let record = app.full_record();
        Self {
            requests: ArcSwapOption::new(bucket(&record)),
            room: ArcSwap::from_pointee(room(&record)),
            idempotency: Idempotency::new(
                record.limits.idempotency_bytes,
                metrics.idempotency_evictions.clone(),
            ),
            channels: Channels::new(index, &app, &metrics, Arc::clone(&webhooks)),
            users: Users::new(index, metrics.users.clone()),
            watchlists: record
                .watchlist
                .then(|| Watchlists::new(index, record.watchlist_grace)),
            index,
            webhooks,
            connections: Arc::default(),
            parked: Arc::default(),
            kept: ArcSwap::new(kept(&record, &metrics)),
            settled: Mutex::new(record),
            retired: OnceLock::new(),
            metrics,
            app,
        }
    }

    /// The same app at work anew, with its numbers and what waits for its webhooks.
    pub(super) fn anew(&self) -> Self {
        let webhooks = Arc::clone(&self.webhooks);
        Self::new(Arc::clone(&self.app), self.metrics.clone(), webhooks)
    }

    /// Goes by the record that holds now.
    pub(super) fn settle(&self, webhooks: &Webhooks) {
        let mut settled = self.settled.lock();
        let record = self.app.full_record();
        if Arc::ptr_eq(&settled, &record) || self.is_retired() {
            return;
        }
        let (before, limits) = (&settled.limits, &record.limits);
        let backlog = |limits: &Limits| (limits.publish_backlog, limits.publish_wait);
        if backlog(before) != backlog(limits) {
            // What is on its way has taken its room of what there was before.
            self.room.store(Arc::new(room(&record)));
        }
        if before.requests_per_second != limits.requests_per_second {
            self.requests.store(bucket(&record));
        }
        if settled.resume.bytes != record.resume.bytes {
            self.kept.store(kept(&record, &self.metrics));
        }
        self.idempotency.set_max_bytes(limits.idempotency_bytes);
        self.channels.settle(&record);
        if let Some(watchlists) = &self.watchlists {
            watchlists.set_grace(record.watchlist_grace);
        }
        self.set_silent(!record.enabled);
        webhooks.configure(&self.webhooks, &self.app, &record);
        *settled = record;
    }

    /// It is at work no more: everybody leaves, for this reason.
    pub(super) fn retire(&self, reason: CloseReason) {
        // Nobody has it go by another record from here on, which would begin its webhooks anew.
        let _settled = self.settled.lock();
        // An app is removed or replaced once.
        let _ = self.retired.set(reason);
        self.fall_silent();
    }

    /// Whether it is at work no more.
    pub fn is_retired(&self) -> bool {
        self.retired.get().is_some()
    }

    /// Why nobody may be connected to it, if that is so. Whoever has been admitted before must look at this again
    /// when the connection is in the tables of its shard: those that are there are closed by the shard.
    pub fn closed(&self) -> Option<CloseReason> {
        let retired = self.retired.get().cloned();
        retired.or_else(|| (!self.app.record().enabled).then(disabled))
    }

    /// How much may be on its way to the app's connections.
    pub fn room(&self) -> Guard<Arc<Room>> {
        self.room.load()
    }

    /// How many requests to the HTTP API may come; None: any number.
    pub fn requests(&self) -> Guard<Option<Arc<SharedBucket>>> {
        self.requests.load()
    }

    /// Where the app's backend is notified of what happens.
    pub fn webhooks(&self) -> &AppWebhooks {
        &self.webhooks
    }

    pub(super) fn webhooks_shared(&self) -> &Arc<AppWebhooks> {
        &self.webhooks
    }

    /// The sessions whose clients are away.
    pub fn parked(&self) -> &Tally {
        self.parked.tally()
    }

    /// Counts a session in whose client, of this address, is away, and that is on so many channels. Another
    /// one may have to give way. None has to for whoever would take up more than anybody else.
    pub fn park(&self, client: Option<IpAddr>, channels: usize) -> Result<ParkPermit, Full> {
        let sessions = self.app.record().resume.sessions;
        let shown = &self.metrics.parked_sessions;
        self.parked
            .enter(client, channels, sessions, &self.kept(), shown)
    }

    /// What is kept for them.
    pub(super) fn kept(&self) -> Arc<Budget> {
        self.kept.load_full()
    }

    /// What publishing to the channel would take now.
    pub fn wanted(&self, channel: &ChannelRef<'_>) -> Wanted {
        self.channels.wanted(channel.as_str(), channel.kind().cache)
    }

    /// What is known about the channel; all zero if nobody is on it.
    pub fn channel_state(&self, channel: &str) -> ChannelState {
        self.channels.state(channel)
    }

    pub(super) fn all_depart(&self) {
        self.channels.all_depart();
    }

    pub(super) fn fall_silent(&self) {
        self.set_silent(true);
    }

    fn set_silent(&self, is_silent: bool) {
        let is_silent = is_silent || self.retired.get().is_some();
        self.channels.set_silent(is_silent);
        if let Some(watchlists) = &self.watchlists {
            watchlists.set_silent(is_silent);
        }
    }

    pub(super) fn housekeeping(&self, now: Instant) {
        self.channels.housekeeping(now);
        if let Some(watchlists) = &self.watchlists {
            watchlists.housekeeping(now);
        }
        self.idempotency.expire(now);
    }
}

/// Why connections to a disabled app are closed.
pub(super) fn disabled() -> CloseReason {
    CloseReason::new(CloseCode::AppDisabled, "the app is disabled")
}

fn room(record: &App) -> Room {
    Room::new(record.limits.publish_backlog, record.limits.publish_wait)
}

fn bucket(record: &App) -> Option<Arc<SharedBucket>> {
    let most = record.limits.requests_per_second?;
    let bucket = SharedBucket::full(Rate::new(most, most), Instant::now());
    Some(Arc::new(bucket))
}

fn kept(record: &App, metrics: &AppMetrics) -> Arc<Budget> {
    Budget::new(record.resume.bytes, metrics.parked_bytes.clone())
}
