//! Events that clients send to each other.

use std::sync::Arc;
use std::time::Instant;

use super::{Action, Session, State};
use crate::net::rate::Rate;
use crate::protocol::client::ClientEvent;
use crate::protocol::member::Member;
use crate::protocol::{ChannelName, CloseCode, json, server};

impl Session {
    pub(super) fn on_client_event(&mut self, event: &ClientEvent<'_>, now: Instant) -> Action {
        match self.check_client_event(event, now) {
            Ok((channel, sender)) => Action::ClientEvent {
                frame: server::client_event(
                    &event.event,
                    channel.as_str(),
                    event.data,
                    sender.as_deref(),
                ),
                channel,
            },
            Err(reason) => Action::Mistake {
                code: Some(CloseCode::ClientEventRejected),
                message: format!("client event rejected: {reason}"),
            },
        }
    }

    fn check_client_event(
        &mut self,
        event: &ClientEvent<'_>,
        now: Instant,
    ) -> Result<(ChannelName, Option<Arc<Member>>), String> {
        let app = self.app.record();
        let limits = &app.limits;
        if !app.client_events {
            return Err("client events are not enabled for this app".into());
        }
        let subscription = self
            .subscriptions
            .get(&*event.channel)
            .filter(|subscription| subscription.state == State::Live && !subscription.held)
            .ok_or("the connection is not subscribed to the channel")?;
        let channel = &subscription.channel;
        if !channel.kind().takes_client_events() {
            return Err(
                "they are only allowed on private and presence channels that are not encrypted"
                    .into(),
            );
        }
        let name_length = event.event.chars().count();
        if name_length > limits.event_name_length {
            return Err(format!(
                "the event name has {name_length} characters, at most {} are allowed (event_name_length)",
                limits.event_name_length
            ));
        }
        if let Some(data) = event.data {
            let length = if json::is_string(data) {
                json::decoded_len(data.get())
            } else {
                data.get().len()
            };
            if length > limits.event_data_bytes {
                return Err(format!(
                    "data has {length} bytes, at most {} are allowed (event_data_bytes)",
                    limits.event_data_bytes
                ));
            }
        }
        let most = limits.client_events_per_second;
        let rate = Rate::new(most, most);
        if !self.client_events.take(rate, now) {
            return Err(format!(
                "at most {most} client events a second are allowed (client_events_per_second)"
            ));
        }
        let sender = subscription.member.as_ref();
        Ok((channel.clone(), sender.map(Arc::clone)))
    }
}
