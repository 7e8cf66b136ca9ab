//! What it takes to serve the apps of a database.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::looks::Looks;
use super::place::Settings;
use crate::apps::App;
use crate::relay::Relay;
use crate::webhooks::Webhooks;

/// Reads an app's settings, which are as `[[apps]]` of the file has them, by the rules of the file. The error is one
/// line without any secret.
pub type ReadApp = dyn Fn(&Map<String, Value>) -> Result<App, String> + Send + Sync;

/// What it takes to serve the apps of a database.
pub struct Parts {
    /// Which, and where.
    pub settings: Settings,
    /// How an app is read.
    pub read: Arc<ReadApp>,
    /// Who serves them.
    pub relay: Arc<Relay>,
    /// Who notifies their backends.
    pub webhooks: Webhooks,
    /// Gives back what the reading of many rows took, on the calling thread.
    pub reclaim: fn(),
    pub(super) looks: Looks,
    /// Held while a connection is made.
    pub(super) opening: Arc<tokio::sync::Mutex<()>>,
}

impl Parts {
    /// All of these.
    pub fn new(
        settings: Settings,
        read: Arc<ReadApp>,
        relay: &Arc<Relay>,
        webhooks: &Webhooks,
        reclaim: fn(),
    ) -> Self {
        Self {
            settings,
            read,
            relay: Arc::clone(relay),
            webhooks: webhooks.clone(),
            reclaim,
            looks: Looks::new(),
            opening: Arc::default(),
        }
    }
}
