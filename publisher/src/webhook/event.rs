//! The events of webhooks.

use serde::Deserialize;
use serde_json::{Map, Value};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
#[non_exhaustive]
pub enum WebhookEvent {
    /// A channel has its first subscriber.
    #[non_exhaustive]
    ChannelOccupied {
        /// The channel's name on the wire.
        channel: String,
    },
    /// A channel has lost its last subscriber.
    #[non_exhaustive]
    ChannelVacated {
        /// The channel's name on the wire.
        channel: String,
    },
    /// A user is on a presence channel, with a first connection.
    #[non_exhaustive]
    MemberAdded {
        /// The channel's name on the wire.
        channel: String,
        /// The user.
        user_id: String,
    },
    /// A user has left a presence channel, with the last connection.
    #[non_exhaustive]
    MemberRemoved {
        /// The channel's name on the wire.
        channel: String,
        /// The user.
        user_id: String,
    },
    /// A client has sent an event to the others on a channel.
    #[non_exhaustive]
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
    #[non_exhaustive]
    CacheMiss {
        /// The channel's name on the wire.
        channel: String,
    },
    /// The number of a channel's subscribers has changed.
    #[non_exhaustive]
    SubscriptionCount {
        /// The channel's name on the wire.
        channel: String,
        /// Connections that are subscribed.
        subscription_count: u64,
    },
    /// Something else: an event that this crate does not know, or one without what it should
    /// have; all of it.
    #[serde(untagged)]
    Unknown(Map<String, Value>),
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(json: Value) -> WebhookEvent {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn the_documented_events_are_known() {
        let channel = || "presence-x".to_owned();
        let user_id = || "7".to_owned();
        let named =
            |name: &str| event(json!({"name": name, "channel": "presence-x", "user_id": "7"}));
        assert_eq!(
            [
                "channel_occupied",
                "channel_vacated",
                "member_added",
                "member_removed",
                "cache_miss"
            ]
            .map(named),
            [
                WebhookEvent::ChannelOccupied { channel: channel() },
                WebhookEvent::ChannelVacated { channel: channel() },
                WebhookEvent::MemberAdded {
                    channel: channel(),
                    user_id: user_id()
                },
                WebhookEvent::MemberRemoved {
                    channel: channel(),
                    user_id: user_id()
                },
                WebhookEvent::CacheMiss { channel: channel() },
            ]
        );
        let count =
            json!({"name": "subscription_count", "channel": "presence-x", "subscription_count": 3});
        assert_eq!(
            event(count),
            WebhookEvent::SubscriptionCount {
                channel: channel(),
                subscription_count: 3
            }
        );
        let client_event = json!({
            "name": "client_event", "channel": "presence-x", "event": "client-typing",
            "data": "{}", "socket_id": "1.2", "user_id": "7",
        });
        assert_eq!(
            event(client_event),
            WebhookEvent::ClientEvent {
                channel: channel(),
                event: "client-typing".into(),
                data: Some("{}".into()),
                socket_id: "1.2".into(),
                user_id: Some(user_id()),
            }
        );
    }

    #[test]
    fn other_events_are_kept_as_they_are() {
        for json in [
            json!({"name": "invented", "channel": "x", "more": [1]}),
            json!({"name": "member_added", "channel": "x"}),
            json!({"channel": "x"}),
        ] {
            let whole = json.as_object().unwrap().clone();
            assert_eq!(event(json), WebhookEvent::Unknown(whole));
        }
    }
}
