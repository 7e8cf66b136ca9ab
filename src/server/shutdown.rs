//! The phases of stopping.

use std::sync::Arc;
use std::time::Duration;

use actix_server::ServerHandle;
use tokio::time::{Instant, timeout, timeout_at};

use crate::cluster::Redis;
use crate::relay::Relay;
use crate::webhooks::Webhooks;

/// What is left of the time for closing the listeners.
const FOR_LISTENERS: Duration = Duration::from_secs(1);
/// What leaving the cluster leaves of it at least.
const AFTER_CLUSTER: Duration = Duration::from_millis(500);
/// What webhooks leave of it at least.
const AFTER_WEBHOOKS: Duration = Duration::from_millis(250);

/// What is stopped.
#[derive(Clone, Copy)]
pub(super) struct Parts<'p> {
    pub(super) relay: &'p Arc<Relay>,
    pub(super) webhooks: &'p Webhooks,
    pub(super) cluster: Option<&'p Redis>,
}

/// Stops in good order: nobody new is let in while HTTP is still answered, connections are
/// told to go elsewhere, requests under way end, the other nodes are left, webhooks are sent, and
/// the listeners close last. Takes no longer than `limit`.
pub(super) async fn run(
    parts: Parts<'_>,
    server: ServerHandle,
    admin: Option<ServerHandle>,
    limit: Duration,
) {
    let Parts {
        relay,
        webhooks,
        cluster,
    } = parts;
    let deadline = Instant::now() + limit;
    let hub = &relay.hub;
    tracing::info!(
        connections = hub.connections().get(),
        "stopping: connections are closed"
    );
    hub.begin_draining();
    hub.close_all();
    let until = deadline
        .checked_sub(FOR_LISTENERS.min(limit / 2))
        .unwrap_or(deadline);
    let all_gone = async {
        hub.connections().emptied().await;
        relay.requests.emptied().await;
    };
    if timeout_at(until, all_gone).await.is_err() {
        tracing::warn!(
            connections = hub.connections().get(),
            requests = relay.requests.get(),
            "not all ended in time: they are dropped"
        );
    }
    if let Some(cluster) = cluster {
        // Whoever comes now is to go to another node, and whoever is here gets its answer while
        // there is still somebody to tell the others.
        server.pause().await;
        cluster.begin_leaving();
        let _ = timeout_at(until, relay.requests.emptied()).await;
        let until = deadline
            .checked_sub(AFTER_CLUSTER.min(limit / 4))
            .unwrap_or(deadline);
        if timeout_at(until, cluster.stop()).await.is_err() {
            let unsent_bytes = cluster.backlog_bytes();
            tracing::warn!(unsent_bytes, "the other nodes could not be told in time");
        }
    }
    // Whoever is still here after that has had its chance: what it leaves is not told.
    let until = deadline.checked_sub(AFTER_WEBHOOKS.min(limit / 4));
    webhooks.flush(until.unwrap_or(deadline).into_std()).await;
    let _ = timeout(FOR_LISTENERS, relay.requests.emptied()).await;
    // Every answer has been written by the thread that now hears of this: what is left idles.
    let left = deadline.saturating_duration_since(Instant::now());
    let _ = timeout(left.max(FOR_LISTENERS), server.stop(false)).await;
    relay.tap.close();
    if let Some(admin) = admin {
        // Watchers are told through the tap; nobody else has to be waited for.
        let _ = timeout(FOR_LISTENERS, admin.stop(true)).await;
    }
    tracing::info!("stopped");
}
