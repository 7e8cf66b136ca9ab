//! The driver `null`.

use super::{Broadcast, BroadcastFuture, Broadcaster};

/// Does nothing, as Laravel's `NullBroadcaster`.
#[derive(Clone, Copy, Debug, Default)]
pub struct NullBroadcaster;

impl Broadcaster for NullBroadcaster {
    fn name(&self) -> &'static str {
        "null"
    }

    fn broadcast<'a>(&'a self, _broadcast: &'a Broadcast) -> BroadcastFuture<'a> {
        Box::pin(std::future::ready(Ok(())))
    }
}
