//! One app at work on this node.
//!
//! - [`local`]: its moves where a single node decides
//! - [`replica`]: its moves where others decide, and the node carries out
//! - [`permit`]: a connection that counts among its app's
//! - [`idempotency`], [`answers`]: publishes that carry a key, and the answers to those done

mod answers;
pub mod idempotency;
mod local;
mod permit;
mod replica;

use std::sync::Arc;
use std::time::Instant;

use super::broadcast::Room;
use super::directory::{Channels, Users, Wanted, Watchlists};
use super::mailbox::AppIndex;
use super::outcome::ChannelState;
use crate::apps::App;
use crate::metrics::AppMetrics;
use crate::net::budget::Budget;
use crate::net::rate::{Rate, SharedBucket};
use crate::net::tally::Tally;
use crate::protocol::ChannelRef;
use crate::webhooks::AppWebhooks;
use idempotency::Idempotency;
pub use permit::{AppPermit, ParkPermit};

/// An app's record with all that is going on in it. Nothing is shared between apps.
#[derive(Debug)]
pub struct AppHub {
    /// The app's record.
    pub app: Arc<App>,
    /// The app's numbers.
    pub metrics: AppMetrics,
    /// How much may be on its way to the app's connections.
    pub room: Room,
    /// The keys that publishes carry.
    pub idempotency: Idempotency,
    /// How many requests to the HTTP API may come; None: any number.
    pub requests: Option<SharedBucket>,
    /// What threads name it by to one another.
    pub(super) index: AppIndex,
    channels: Channels,
    users: Users,
    watchlists: Option<Watchlists>,
    webhooks: Option<Arc<AppWebhooks>>,
    connections: Arc<Tally>,
    parked: Arc<Tally>,
    kept: Arc<Budget>,
}

impl AppHub {
    pub(super) fn new(
        app: Arc<App>,
        metrics: AppMetrics,
        webhooks: Option<Arc<AppWebhooks>>,
    ) -> Self {
        let index = AppIndex::next();
        Self {
            requests: app.limits.requests_per_second.map(|most| {
                let rate = Rate::new(most, most);
                SharedBucket::full(rate, Instant::now())
            }),
            room: Room::new(app.limits.publish_backlog, app.limits.publish_wait),
            idempotency: Idempotency::new(
                app.limits.idempotency_bytes,
                metrics.idempotency_evictions.clone(),
            ),
            channels: Channels::new(index, &app, &metrics, webhooks.clone()),
            users: Users::new(index, metrics.users.clone()),
            watchlists: app
                .watchlist
                .then(|| Watchlists::new(index, app.watchlist_grace)),
            index,
            webhooks,
            connections: Arc::default(),
            parked: Arc::default(),
            kept: Budget::new(app.resume.bytes, metrics.parked_bytes.clone()),
            metrics,
            app,
        }
    }

    /// Where the app's backend is notified of what happens, if it is to be.
    pub fn webhooks(&self) -> Option<&AppWebhooks> {
        self.webhooks.as_deref()
    }

    /// The sessions whose clients are away.
    pub fn parked(&self) -> &Tally {
        &self.parked
    }

    /// What is kept for them.
    pub(super) fn kept(&self) -> &Arc<Budget> {
        &self.kept
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
        self.channels.fall_silent();
        if let Some(watchlists) = &self.watchlists {
            watchlists.fall_silent();
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
