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
pub struct Broadcast {
    event: String,
    channels: Vec<Channel>,
    payload: Box<RawValue>,
    socket_id: Option<SocketId>,
    idempotency_id: Option<String>,
}

impl Broadcast {
    /// An event by its parts. The error names `payload`, which is not a JSON object.
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

    /// An id of your own by which a server that can tells the event when it is broadcast again
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
