//! What is published.

use serde::Serialize;

use super::Info;
use crate::{Channel, Invalid, SocketId, names};

/// An event, without the channels that it goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an event goes nowhere until it is published"]
pub struct Event {
    pub(super) name: String,
    pub(super) data: String,
    pub(super) socket_id: Option<SocketId>,
    pub(super) info: Vec<Info>,
    pub(super) idempotency_key: Option<String>,
}

impl Event {
    /// An event with data that clients get as JSON. The error names `data`, which cannot be put
    /// into JSON.
    pub fn new(name: impl Into<String>, data: &(impl Serialize + ?Sized)) -> Result<Self, Invalid> {
        let data =
            serde_json::to_string(data).map_err(|error| Invalid::new("data", error.to_string()))?;
        Ok(Self::text(name, data))
    }

    /// An event with data that clients get byte for byte, whether it is JSON or not.
    pub fn text(name: impl Into<String>, data: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            data: data.into(),
            socket_id: None,
            info: Vec::new(),
            idempotency_key: None,
        }
    }

    /// To everybody but this connection: the one whose request caused the event and which knows
    /// of it already. `None` leaves nobody out.
    pub fn to_others(mut self, socket_id: Option<SocketId>) -> Self {
        self.socket_id = socket_id;
        self
    }

    /// What the answer is to say of the channels.
    pub fn info(mut self, info: &[Info]) -> Self {
        self.info = info.to_vec();
        self
    }

    /// A key of your own by which a Fanfare knows the event again if it is published twice: for
    /// two minutes, the second time is answered as the first and delivers nothing; an event with
    /// another name, channel or payload is refused with 422. 1 to 255
    /// visible ASCII characters, a few less where an event makes several requests. Other servers
    /// ignore it.
    ///
    /// Without one, each call makes up its own for its retries.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    pub(super) fn check(&self) -> Result<(), Invalid> {
        names::check_event_name(&self.name)
    }
}

/// Several events, each to one channel, for [`Client::trigger_batch`](super::Client::trigger_batch).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "a batch goes nowhere until it is published"]
pub struct Batch {
    pub(super) events: Vec<(Channel, Event)>,
    pub(super) idempotency_key: Option<String>,
}

impl Batch {
    /// A batch without events.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an event, behind those already there. It cannot have an idempotency key of its own.
    pub fn event(mut self, channel: Channel, event: Event) -> Self {
        self.events.push((channel, event));
        self
    }

    /// As [`Event::idempotency_key`], for all of them together. Of more than 10 events, the key
    /// stands for each ten of them in their order: change nothing in a batch that is sent again.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }
}
