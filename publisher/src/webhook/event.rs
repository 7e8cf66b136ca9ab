//! What webhooks tell.

use serde::Deserialize;
use serde_json::{Map, Value};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
#[non_exhaustive]
pub enum WebhookEvent {
    /// A channel has its first subscriber.
    ChannelOccupied {
        /// The channel's name on the wire.
        channel: String,
    },
    /// A channel has lost its last subscriber.
    ChannelVacated {
        /// The channel's name on the wire.
        channel: String,
    },
    /// A user is on a presence channel, with a first connection.
    MemberAdded {
        /// The channel's name on the wire.
        channel: String,
        /// The user.
        user_id: String,
    },
    /// A user has left a presence channel, with the last connection.
    MemberRemoved {
        /// The channel's name on the wire.
        channel: String,
        /// The user.
        user_id: String,
    },
    /// A client has sent an event to the others on a channel.
    ClientEvent {
        /// The channel's name on the wire.
        channel: String,
        /// The event's name, which begins with `client-`.
        event: String,
        /// What the client has sent along, as text; anybody on the channel may send anything.
        data: Option<String>,
        /// The client's connection.
        socket_id: String,
        /// The user, on a presence channel.
        user_id: Option<String>,
    },
    /// A client has subscribed to a cache channel that keeps no event.
    CacheMiss {
        /// The channel's name on the wire.
        channel: String,
    },
    /// The number of a channel's subscribers has changed.
    SubscriptionCount {
        /// The channel's name on the wire.
        channel: String,
        /// Connections that are subscribed.
        subscription_count: u64,
    },
    /// Something else: an event that this crate does not know.
    #[serde(untagged)]
    Unknown(Map<String, Value>),
}
