//! A connection that counts among its app's.

use std::sync::Arc;

use super::AppHub;
use crate::metrics::Gauge;
use crate::net::budget::Share;
use crate::net::tally::{Full, Permit};

/// A connection that counts among its app's until this is dropped.
#[derive(Debug)]
#[must_use = "it counts until it is dropped"]
pub struct AppPermit {
    app: Arc<AppHub>,
    _counted: Permit,
}

impl AppPermit {
    /// Counts a connection in, unless the app's `max_connections` is reached.
    pub fn of(app: &Arc<AppHub>) -> Result<Self, Full> {
        let limit = app.app.record().limits.max_connections;
        let limit = limit.unwrap_or(usize::MAX);
        let counted = app.connections.try_enter(limit)?;
        app.metrics.connections.inc();
        app.metrics.connections_opened.inc();
        Ok(Self {
            app: Arc::clone(app),
            _counted: counted,
        })
    }

    /// Counts a connection in that is to take the place of another one, whose client is back before that
    /// is known to be gone.
    pub fn instead(app: &Arc<AppHub>) -> Self {
        let counted = app.connections.enter_anyway();
        app.metrics.connections.inc();
        app.metrics.connections_opened.inc();
        Self {
            app: Arc::clone(app),
            _counted: counted,
        }
    }

    /// Whether the app has more connections than it may have.
    pub fn is_beyond(&self) -> bool {
        let limit = self.app.app.record().limits.max_connections;
        limit.is_some_and(|limit| self.app.connections.get() > limit)
    }

    /// The app.
    pub fn app(&self) -> &Arc<AppHub> {
        &self.app
    }
}

/// What a session takes whose client is away: its task, and what is known of it.
const SESSION_BYTES: usize = 1 << 10;
/// What each of its subscriptions takes, with a channel that is there for it alone.
const SUBSCRIPTION_BYTES: usize = 2 << 10;

/// A session whose client is away, and that counts among its app's until this is dropped.
#[derive(Debug)]
#[must_use = "it counts until it is dropped"]
pub struct ParkPermit {
    sessions: Gauge,
    _kept: Share,
    _counted: Permit,
}

impl ParkPermit {
    /// Counts a session in that is on so many channels, unless the app has as many sessions whose clients
    /// are away as it may have, or keeps as much for them.
    pub fn of(app: &AppHub, channels: usize) -> Result<Self, Full> {
        let counted = app.parked.try_enter(app.app.record().resume.sessions)?;
        let mut kept = Share::of(&app.kept());
        kept.grow_to(SESSION_BYTES + channels * SUBSCRIPTION_BYTES)?;
        app.metrics.parked_sessions.inc();
        Ok(Self {
            sessions: app.metrics.parked_sessions.clone(),
            _kept: kept,
            _counted: counted,
        })
    }
}

impl Drop for ParkPermit {
    fn drop(&mut self) {
        self.sessions.dec();
    }
}

impl Drop for AppPermit {
    fn drop(&mut self) {
        self.app.metrics.connections.dec();
    }
}
