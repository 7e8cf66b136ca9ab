//! Events to broadcast.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::json::{Json, Object};
use crate::{Channel, Invalid, SocketId};

/// A type of event, as Laravel's `ShouldBroadcast`.
///
/// ```
/// use publisher::{BroadcastEvent, Channel};
/// use serde::Serialize;
///
/// #[derive(Serialize)]
/// struct MessageSent {
///     id: u64,
///     conversation_id: u64,
///     content: String,
/// }
///
/// impl BroadcastEvent for MessageSent {
///     fn broadcast_as(&self) -> std::borrow::Cow<'_, str> {
///         "message.sent".into()
///     }
///
///     fn broadcast_on(&self) -> Vec<Channel> {
///         vec![Channel::private(format!("conversation.{}", self.conversation_id))]
///     }
///
///     fn broadcast_with(&self) -> impl Serialize {
///         self
///     }
/// }
/// ```
pub trait BroadcastEvent {
    /// The event's name, for which clients listen.
    fn broadcast_as(&self) -> Cow<'_, str>;

    /// Where it goes.
    fn broadcast_on(&self) -> Vec<Channel>;

    /// What clients get; it must serialise to a JSON object.
    fn broadcast_with(&self) -> impl Serialize;
}

/// An event that is ready to go, to be kept in a queue perhaps, and handed to a
/// [`Broadcaster`](crate::Broadcaster).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[must_use = "an event goes nowhere until it is broadcast"]
pub struct Broadcast {
    event: String,
    channels: Vec<Channel>,
    payload: Box<RawValue>,
    socket_id: Option<SocketId>,
    idempotency_id: Option<String>,
}

impl Broadcast {
    /// An event by its parts. The error names `payload`, which is not a JSON object. In it,
    /// `socket` is Laravel's own: most drivers put there who is left out.
    pub fn new(
        event: impl Into<String>,
        channels: impl Into<Vec<Channel>>,
        payload: &(impl Serialize + ?Sized),
    ) -> Result<Self, Invalid> {
        let payload = serde_json::value::to_raw_value(payload)
            .map_err(|error| Invalid::new("payload", error.to_string()))?;
        if !payload.get().starts_with('{') {
            return Err(Invalid::new("payload", "must be a JSON object"));
        }
        Ok(Self {
            event: event.into(),
            channels: channels.into(),
            payload,
            socket_id: None,
            idempotency_id: None,
        })
    }

    /// An event of a type. The error names `payload`, which is not a JSON object.
    pub fn of(event: &impl BroadcastEvent) -> Result<Self, Invalid> {
        let payload = event.broadcast_with();
        Self::new(event.broadcast_as(), event.broadcast_on(), &payload)
    }

    /// To everybody but this connection: the one whose request (`X-Socket-ID`) caused the event.
    /// `None` leaves nobody out.
    pub fn to_others(mut self, socket_id: Option<SocketId>) -> Self {
        self.socket_id = socket_id;
        self
    }

    /// An id of your own by which a server that can recognises the event when it is broadcast again
    /// (see [`Event::idempotency_key`](crate::Event::idempotency_key)). The drivers `pusher` and
    /// `ably` pass it on.
    pub fn idempotency_id(mut self, id: impl Into<String>) -> Self {
        self.idempotency_id = Some(id.into());
        self
    }

    /// The event's name.
    pub fn event(&self) -> &str {
        &self.event
    }

    /// Where it goes.
    pub fn channels(&self) -> &[Channel] {
        &self.channels
    }

    /// What clients get, as JSON text.
    pub fn payload(&self) -> &str {
        self.payload.get()
    }

    /// Who does not get it.
    pub fn socket_id(&self) -> Option<&SocketId> {
        self.socket_id.as_ref()
    }

    /// By which id it is known.
    pub fn id(&self) -> Option<&str> {
        self.idempotency_id.as_deref()
    }

    /// The payload as Laravel hands it to its drivers: `socket` is in it, null for nobody.
    ///
    /// Source: laravel/framework, `BroadcastEvent::getPayloadFromEvent`.
    pub(super) fn payload_with_socket(&self) -> Result<Object, Invalid> {
        let mut payload: Object = serde_json::from_str(self.payload())
            .map_err(|error| Invalid::new("payload", error.to_string()))?;
        payload.set("socket", self.socket());
        Ok(payload)
    }

    /// The connection that is left out, as JSON.
    pub(super) fn socket(&self) -> Json {
        match &self.socket_id {
            Some(id) => Json::String(id.as_str().to_owned()),
            None => Json::Null,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::json::to_php;

    #[derive(Serialize)]
    struct Sent {
        id: u64,
        content: &'static str,
    }

    impl BroadcastEvent for Sent {
        fn broadcast_as(&self) -> Cow<'_, str> {
            "message.sent".into()
        }

        fn broadcast_on(&self) -> Vec<Channel> {
            vec![Channel::private("conversation.1"), Channel::public("all")]
        }

        fn broadcast_with(&self) -> impl Serialize {
            self
        }
    }

    #[test]
    fn an_event_keeps_the_order_of_its_payload() {
        let event = Sent {
            id: 7,
            content: "a/b",
        };
        let broadcast = Broadcast::of(&event).unwrap();
        assert_eq!(broadcast.event(), "message.sent");
        assert_eq!(broadcast.channels(), event.broadcast_on());
        assert_eq!(broadcast.payload(), r#"{"id":7,"content":"a/b"}"#);
        let payload = broadcast.payload_with_socket().unwrap();
        assert_eq!(
            to_php(&payload),
            r#"{"id":7,"content":"a\/b","socket":null}"#
        );
    }

    #[test]
    fn a_payload_is_an_object() {
        for payload in [json!(null), json!([1]), json!("{}"), json!(1)] {
            let error = Broadcast::new("e", [Channel::public("c")], &payload).unwrap_err();
            assert_eq!(error.field, "payload");
        }
    }

    #[test]
    fn an_event_can_wait_in_a_queue() {
        let broadcast = Broadcast::of(&Sent {
            id: 7,
            content: "ä",
        })
        .unwrap()
        .to_others(Some(SocketId::parse("1.2").unwrap()))
        .idempotency_id("event-7");
        let stored = serde_json::to_string(&broadcast).unwrap();
        let restored: Broadcast = serde_json::from_str(&stored).unwrap();
        assert_eq!(restored.event(), broadcast.event());
        assert_eq!(restored.channels(), broadcast.channels());
        assert_eq!(restored.payload(), broadcast.payload());
        assert_eq!(restored.socket_id(), broadcast.socket_id());
        assert_eq!(restored.id(), Some("event-7"));
    }
}
