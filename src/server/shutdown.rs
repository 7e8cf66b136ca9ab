//! The phases of stopping.

use std::sync::Arc;
use std::time::Duration;

use actix_server::ServerHandle;
use tokio::time::{Instant, timeout, timeout_at};

use crate::relay::Relay;

/// What is left for the HTTP requests under way when the WebSockets are gone.
const FOR_HTTP: Duration = Duration::from_secs(1);

/// Stops in good order: nobody new is let in while HTTP is still answered, connections are
/// told to go elsewhere, requests under way end, and the listeners close last. Takes no longer
/// than `limit`.
pub(super) async fn run(
    relay: &Arc<Relay>,
    server: ServerHandle,
    admin: Option<ServerHandle>,
    limit: Duration,
) {
    let deadline = Instant::now() + limit;
    tracing::info!(
        connections = relay.hub.connections(),
        "stopping: connections are closed"
    );
    relay.hub.begin_draining();
    relay.hub.close_all();
    let for_connections = deadline
        .checked_sub(FOR_HTTP.min(limit / 2))
        .unwrap_or(deadline);
    if timeout_at(for_connections, relay.hub.emptied())
        .await
        .is_err()
    {
        let connections = relay.hub.connections();
        tracing::warn!(
            connections,
            "connections did not close in time: they are dropped"
        );
    }
    let left = deadline.saturating_duration_since(Instant::now());
    if timeout(left, server.stop(true)).await.is_err() {
        tracing::warn!("requests did not end in time: they are dropped");
        drop(server.stop(false));
    }
    relay.tap.close();
    if let Some(admin) = admin {
        // Watchers are told through the tap; nobody else has to be waited for.
        let _ = timeout(FOR_HTTP, admin.stop(true)).await;
    }
    tracing::info!("stopped");
}
