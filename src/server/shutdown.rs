//! The phases of stopping.

use std::sync::Arc;
use std::time::Duration;

use actix_server::ServerHandle;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use crate::hub::Drain;
use crate::net::tally::Tally;
use crate::protocol::CloseCode;
use crate::relay::Relay;
use crate::webhooks::Webhooks;

/// What is left of the time for closing the listeners.
const FOR_LISTENERS: Duration = Duration::from_secs(1);
/// What leaving the cluster leaves of it at least.
const AFTER_CLUSTER: Duration = Duration::from_millis(500);
/// What webhooks leave of it at least.
const AFTER_WEBHOOKS: Duration = Duration::from_millis(250);
/// What is left of it for the webhooks about the clients' departure.
const FOR_DEPARTURES: Duration = Duration::from_secs(2);
/// How long the clients of a node by itself may take to answer their close. They come back after
/// a second, and wait for 15 if nobody is there then.
const LAST_WORDS: Duration = Duration::from_millis(250);

/// What is stopped.
#[derive(Clone, Copy)]
pub(super) struct Parts<'p> {
    pub(super) relay: &'p Arc<Relay>,
    pub(super) webhooks: &'p Webhooks,
    /// Lets connections know over which requests go on to come until their clients are notified.
    pub(super) stop: &'p watch::Sender<bool>,
    /// Those connections.
    pub(super) multiplexed: &'p Tally,
}

/// Stops in good order: nobody new is admitted while HTTP is still answered, requests under way end,
/// webhooks are sent, connections are closed, and the listeners close last. Takes no longer than
/// `limit`.
pub(super) async fn run(
    parts: Parts<'_>,
    server: ServerHandle,
    admin: Option<ServerHandle>,
    limit: Duration,
) {
    let deadline = Instant::now() + limit;
    let connections = parts.relay.hub.connections().get();
    tracing::info!(connections, "stopping");
    parts.stop.send_replace(true);
    if parts.relay.authority.has_others() {
        leave_others(parts, &server, deadline, limit).await;
    } else {
        leave_alone(parts, deadline, limit).await;
    }
    // They end by themselves, but for the slow. What a client was sent may be lost if it is not let take it first.
    let _ = timeout(LAST_WORDS, parts.multiplexed.emptied()).await;
    // Every answer has been written by the thread that is now notified: what is left idles.
    let left = deadline.saturating_duration_since(Instant::now());
    let _ = timeout(left.max(FOR_LISTENERS), server.stop(false)).await;
    parts.relay.tap.close();
    if let Some(admin) = admin {
        // Watchers are notified through the tap; nobody else has to be waited for.
        let _ = timeout(LAST_WORDS, admin.stop(true)).await;
    }
    tracing::info!("stopped");
}

/// A node by itself: its clients have nowhere else to go, and so are closed last, whatever takes
/// its time until then. If there might have been others, what it has shared with them is given up after that, and
/// reported as it is then.
async fn leave_alone(parts: Parts<'_>, deadline: Instant, limit: Duration) {
    let Parts {
        relay, webhooks, ..
    } = parts;
    let hub = &relay.hub;
    hub.begin_draining(Drain::UntilRestart);
    let settled = async {
        relay.requests.emptied().await;
        webhooks.hurry().await;
    };
    if timeout_at(before(deadline, FOR_DEPARTURES.min(limit / 4)), settled)
        .await
        .is_err()
    {
        let requests = relay.requests.get();
        tracing::warn!(
            requests,
            "not all requests and webhooks ended in time: no longer waited for"
        );
    }
    let shares = relay.authority.reaches_beyond();
    if !shares {
        // Reported now, so that nothing has to be waited for once they are closed.
        hub.all_depart();
        let until = before(deadline, (LAST_WORDS + AFTER_WEBHOOKS).min(limit / 8));
        webhooks.flush(until.into_std()).await;
    }
    hub.close_all(CloseCode::GoingAway);
    let all_gone = async {
        hub.emptied().await;
        relay.requests.emptied().await;
    };
    if timeout(LAST_WORDS, all_gone).await.is_err() {
        let connections = hub.connections().get();
        tracing::info!(
            connections,
            "not all clients answered their close: they are dropped"
        );
    }
    if shares {
        relay.authority.begin_leaving();
        leave_cluster(parts, deadline, limit).await;
    }
}

/// A node of several: its clients go to the others at once, to which all that happened here is
/// reported.
async fn leave_others(parts: Parts<'_>, server: &ServerHandle, deadline: Instant, limit: Duration) {
    let Parts { relay, .. } = parts;
    let hub = &relay.hub;
    hub.begin_draining(Drain::ToOthers);
    hub.close_all(CloseCode::Reconnect);
    let until = before(deadline, FOR_LISTENERS.min(limit / 2));
    let all_gone = async {
        hub.emptied().await;
        relay.requests.emptied().await;
    };
    if timeout_at(until, all_gone).await.is_err() {
        tracing::warn!(
            connections = hub.connections().get(),
            requests = relay.requests.get(),
            "not all ended in time: they are dropped"
        );
    }
    // Whoever comes now is to go to another node, and whoever is here gets its answer while
    // the others can still be notified.
    server.pause().await;
    relay.authority.begin_leaving();
    let _ = timeout_at(until, relay.requests.emptied()).await;
    leave_cluster(parts, deadline, limit).await;
    let _ = timeout(FOR_LISTENERS, relay.requests.emptied()).await;
}

/// Gives up all that the node has shared, and sends the webhooks of what comes of that.
async fn leave_cluster(parts: Parts<'_>, deadline: Instant, limit: Duration) {
    let Parts {
        relay, webhooks, ..
    } = parts;
    let until = before(deadline, AFTER_CLUSTER.min(limit / 4));
    if timeout_at(until, relay.authority.stop().settled())
        .await
        .is_err()
    {
        let unsent_bytes = relay.authority.backlog_bytes();
        tracing::warn!(
            unsent_bytes,
            "the other nodes could not be notified in time"
        );
    }
    // Whoever is still here after that has had its chance: what it leaves is not reported.
    let until = before(deadline, AFTER_WEBHOOKS.min(limit / 4));
    webhooks.flush(until.into_std()).await;
}

fn before(deadline: Instant, time: Duration) -> Instant {
    deadline.checked_sub(time).unwrap_or(deadline)
}
