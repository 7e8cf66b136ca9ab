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
        let limit = app.app.limits.max_connections.unwrap_or(usize::MAX);
        let counted = app.connections.try_enter(limit)?;
        app.metrics.connections.inc();
        app.metrics.connections_opened.inc();
        Ok(Self {
            app: Arc::clone(app),
            _counted: counted,
        })
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
