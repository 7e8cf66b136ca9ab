//! Events to publish.

use serde_json::{Value, json};

/// The body of a publish.
#[derive(Clone, Debug)]
pub struct PublishedEvent {
    body: Value,
}

impl PublishedEvent {
    /// An event on one channel. Data that is no string is sent as the JSON that it is.
    pub fn new(channel: &str, name: &str, data: impl Into<Value>) -> PublishedEvent {
        PublishedEvent {
            body: json!({"name": name, "channel": channel, "data": data.into()}),
        }
    }

    /// On several channels instead.
    pub fn on(mut self, channels: &[&str]) -> PublishedEvent {
        if let Some(body) = self.body.as_object_mut() {
            body.remove("channel");
        }
        self.with("channels", channels.into())
    }

    /// Not to this connection.
    pub fn excluding(self, socket_id: &str) -> PublishedEvent {
        self.with("socket_id", socket_id.into())
    }

    /// With `info` of these attributes in the answer.
    pub fn info(self, attributes: &str) -> PublishedEvent {
        self.with("info", attributes.into())
    }

    /// With any other member.
    pub fn with(mut self, name: &str, value: Value) -> PublishedEvent {
        self.body[name] = value;
        self
    }

    /// The body.
    pub fn body(&self) -> &Value {
        &self.body
    }
}
