//! What is known of channels.

use serde::Deserialize;

/// Something that an answer can say of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Info {
    /// How many users are on a presence channel.
    UserCount,
    /// How many connections are subscribed.
    SubscriptionCount,
    /// The last event of a cache channel.
    Cache,
}

impl Info {
    fn as_str(self) -> &'static str {
        match self {
            Self::UserCount => "user_count",
            Self::SubscriptionCount => "subscription_count",
            Self::Cache => "cache",
        }
    }

    /// The attributes as a request names them; `None` if there are none.
    pub(super) fn joined(info: &[Self]) -> Option<String> {
        let names: Vec<_> = info.iter().map(|info| info.as_str()).collect();
        (!names.is_empty()).then(|| names.join(","))
    }
}

/// What was asked for of a channel, as far as it applies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct ChannelInfo {
    /// Users on a presence channel.
    pub user_count: Option<u64>,
    /// Connections that are subscribed.
    pub subscription_count: Option<u64>,
    /// The event that a cache channel keeps.
    pub cache: Option<CachedEvent>,
}

/// The event that a cache channel keeps for new subscribers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct CachedEvent {
    /// Its data.
    pub data: String,
    /// Seconds until it is forgotten.
    pub ttl: u64,
}

/// The state of one channel.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct ChannelState {
    /// Whether anybody is subscribed.
    pub occupied: bool,
    /// What was asked for.
    #[serde(flatten)]
    pub info: ChannelInfo,
}
