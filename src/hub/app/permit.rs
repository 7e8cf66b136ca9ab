//! A connection that counts among its app's.

use std::sync::Arc;

use super::AppHub;
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

impl Drop for AppPermit {
    fn drop(&mut self) {
        self.app.metrics.connections.dec();
    }
}
