//! An admin listener of a relay that nobody is connected to.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;

use super::{AdminState, Limits, Names};
use crate::apps::Registry;
use crate::clients::Clients;
use crate::cluster::Local;
use crate::database::{self, Parts, Place, Store};
use crate::doctor::RelaySettings;
use crate::hub::Hub;
use crate::metrics::Metrics;
use crate::net::memory::Ceiling;
use crate::net::tally::Requests;
use crate::relay::Relay;
use crate::tap::Tap;
use crate::webhooks::{self, Webhooks};

/// What holds for its connections.
pub(crate) const LIMITS: Limits = Limits {
    connections: 128,
    write_timeout: Duration::from_secs(10),
};

/// What it shows, with these numbers and this live stream.
pub(crate) fn state(metrics: Metrics, tap: Tap) -> AdminState {
    let webhooks = Webhooks::new(webhooks::Settings::default());
    let relay = Relay {
        hub: Hub::new(&Registry::default(), &webhooks, metrics, 100),
        authority: Arc::new(Local),
        tap,
        requests: Requests::default(),
        clients: Clients::default(),
        memory: Ceiling::new(None),
        is_outdated: AtomicBool::new(false),
    };
    let relay = Arc::new(relay);
    let settings = database::Settings::new(Place::Embedded("/nonexistent/apps.db".into()));
    let no_app = |_: &_| Err("there are no apps here".to_owned());
    let parts = Parts::new(settings.clone(), Arc::new(no_app), &relay, &webhooks, || {});
    AdminState {
        apps: Store::new(parts),
        relay,
        names: Names::default(),
        config: Arc::default(),
        relay_settings: RelaySettings {
            path_prefix: "".into(),
            webhooks: webhooks::Settings::default(),
            redis: None,
            apps_database: settings.clone(),
            laravel_redis: None,
        },
        started_at: SystemTime::now(),
        stop: Arc::new(Notify::new()),
    }
}
