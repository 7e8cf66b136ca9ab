//! Events of clients.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Relay;
use super::publish::PublishError;
use crate::apps::WebhookEvent;
use crate::hub::broadcast::{BacklogFull, Broadcast, Reservation};
use crate::hub::{Admission, AppHub, Caching, Peer};
use crate::protocol::{ChannelName, CloseCode, Frame};
use crate::webhooks::{ClientEventNotice, Notice};

/// An event of a client for which there is no room at the moment.
#[derive(Debug)]
pub(super) struct ClientPublication {
    channel: ChannelName,
    frame: Frame,
    deliveries: usize,
    admission: Admission,
}

impl ClientPublication {
    /// Waits for room.
    pub(super) async fn wait(self, app: Arc<AppHub>) -> (Self, Result<Reservation, BacklogFull>) {
        let reserved = app.room().reserve(self.deliveries, self.frame.len()).await;
        (self, reserved)
    }
}

impl Relay {
    /// A client sends an event. Returns it if there is no room for it now.
    pub(super) fn client_event(
        &self,
        peer: &Peer,
        channel: ChannelName,
        frame: Frame,
    ) -> Option<ClientPublication> {
        let app = peer.app();
        let admission = match self.authority.admit(frame.len()) {
            Ok(admission) => admission,
            Err(error) => {
                self.refuse_client_event(peer, &error.into());
                return None;
            }
        };
        let publication = ClientPublication {
            deliveries: app.channel_state(channel.as_str()).subscribers,
            channel,
            frame,
            admission,
        };
        match app
            .room()
            .try_reserve(publication.deliveries, publication.frame.len())
        {
            Some(reservation) => {
                self.publish_client_event(peer, publication, reservation);
                None
            }
            None => Some(publication),
        }
    }

    /// Sends a client's event to the others on its channel, now that there is room.
    pub(super) fn publish_client_event(
        &self,
        peer: &Peer,
        publication: ClientPublication,
        reservation: Reservation,
    ) {
        let app = peer.app();
        let ClientPublication {
            channel,
            frame,
            admission,
            ..
        } = publication;
        app.metrics.client_events.inc();
        self.show_client_event(peer, &channel, &frame);
        let notice = client_event_notice(peer, &channel, &frame);
        let mut broadcast = Broadcast::reserved(frame, Some(peer.socket_id()), reservation);
        if let Some(notice) = notice {
            broadcast = broadcast.with_notice(channel.clone(), notice);
        }
        let receipt =
            self.authority
                .publish(app, channel.as_str(), broadcast, Caching::None, &admission);
        // Nobody waits for an answer.
        drop(receipt);
    }

    /// There was no room for a client's event for as long as it may wait.
    pub(super) fn refuse_client_event(&self, peer: &Peer, error: &PublishError) {
        let message = format!("client event rejected: {error}; try again later");
        self.report_mistake(peer, Some(CloseCode::ClientEventRejected), &message);
    }
}

/// A client's event, read from the frame that the others get.
#[derive(Deserialize)]
pub(super) struct ClientEvent<'a> {
    #[serde(borrow)]
    pub(super) event: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) data: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) user_id: Option<Cow<'a, str>>,
}

impl<'a> ClientEvent<'a> {
    pub(super) fn of(frame: &'a Frame) -> Option<Self> {
        serde_json::from_slice(frame.payload()).ok()
    }
}

/// What webhooks are sent of a client's event; None if none of them wants to know.
fn client_event_notice(peer: &Peer, channel: &ChannelName, frame: &Frame) -> Option<Notice> {
    let webhooks = peer.app().webhooks();
    if !webhooks.wants(WebhookEvent::ClientEvent, channel.as_str()) {
        return None;
    }
    let sent = ClientEvent::of(frame)?;
    Some(Notice::of_client_event(ClientEventNotice {
        channel: channel.as_str(),
        name: &sent.event,
        data: sent.data,
        sender: peer.socket_id(),
        user_id: sent.user_id.as_deref(),
    }))
}
