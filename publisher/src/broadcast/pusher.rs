//! The driver `pusher`.

use super::{Broadcast, BroadcastFuture, Broadcaster};
use crate::{Client, Event};

/// Publishes over the Pusher HTTP API: to Fanfare, to Pusher itself, or to any server that speaks
/// as they do.
#[derive(Clone, Debug)]
pub struct PusherBroadcaster {
    client: Client,
}

impl PusherBroadcaster {
    /// Publishes with this client.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }
}

impl Broadcaster for PusherBroadcaster {
    fn name(&self) -> &'static str {
        "pusher"
    }

    fn broadcast<'a>(&'a self, broadcast: &'a Broadcast) -> BroadcastFuture<'a> {
        Box::pin(async move {
            if broadcast.channels().is_empty() {
                return Ok(());
            }
            let event = Event::text(broadcast.event(), broadcast.payload())
                .to_others(broadcast.socket_id().cloned());
            let event = match broadcast.id() {
                Some(id) => event.idempotency_key(id),
                None => event,
            };
            self.client.trigger(broadcast.channels(), &event).await?;
            Ok(())
        })
    }
}
