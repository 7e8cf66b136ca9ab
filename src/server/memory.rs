//! The memory of the process, watched.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::reclaim::resident_pages;
use crate::relay::Relay;

/// How often it is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Looks whether the process has reached its ceiling, if it has one.
pub(super) async fn watch(relay: Arc<Relay>) {
    let Some(ceiling) = relay.memory.bytes() else {
        return;
    };
    // SAFETY: it has no preconditions.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let page = u64::try_from(page).unwrap_or(4096);
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(pages) = resident_pages() else {
            tracing::warn!(
                "the system does not say how much memory is used: server.memory_bytes means nothing"
            );
            return;
        };
        let bytes = pages.saturating_mul(page);
        if !relay.memory.look(bytes) {
            continue;
        }
        if relay.memory.is_reached() {
            tracing::warn!(
                bytes,
                ceiling,
                "memory is used up: new connections are refused"
            );
        } else {
            tracing::info!(
                bytes,
                ceiling,
                "memory is free again: new connections are taken"
            );
        }
    }
}
