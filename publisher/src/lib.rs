#![doc = include_str!("../README.md")]
//!
//! ## Where to look
//!
//! - [`Client`], made of a [`Config`] with its [`Retry`]: publishes an [`Event`] or a [`Batch`] to a
//!   [`Channel`], and asks about channels
//! - [`Authorizer`], from [`Config::authorizer`] or a [`KeyPair`]: signs for clients
//! - [`MasterKey`]: end-to-end encryption
//! - [`WebhookVerifier`]: turns a request into a [`Webhook`]
//! - [`Connection`], from [`Connection::from_process_env`]: which [`Broadcaster`] takes a [`Broadcast`], which a [`BroadcastEvent`] becomes
//! - [`Error`], and [`Invalid`] for what is found wrong before anything is sent
#![warn(missing_docs)]

mod auth;
mod broadcast;
mod channel;
mod client;
mod config;
mod encryption;
mod error;
mod http;
mod json;
mod key_pair;
mod names;
mod refusal;
mod retry;
mod socket_id;
mod tls;
mod webhook;

pub use auth::{Authorizer, ChannelAuth, Member, User, UserAuth};
#[cfg(feature = "ably")]
pub use broadcast::{AblyBroadcaster, AblyConfig};
pub use broadcast::{
    Broadcast, BroadcastEvent, BroadcastFuture, Broadcaster, Connection, LogBroadcaster, LogConfig,
    NullBroadcaster, PusherBroadcaster,
};
#[cfg(feature = "redis")]
pub use broadcast::{RedisBroadcaster, RedisConfig};
pub use channel::Channel;
pub use client::{Batch, CachedEvent, ChannelInfo, ChannelState, Client, Event, Info};
pub use config::{Config, Scheme};
pub use encryption::{MasterKey, Undecryptable};
pub use error::{Error, Invalid};
pub use key_pair::KeyPair;
pub use retry::Retry;
pub use socket_id::SocketId;
pub use webhook::{Webhook, WebhookError, WebhookEvent, WebhookVerifier};

#[cfg(test)]
mod tests {
    use super::*;

    fn is_shared<T: Clone + std::fmt::Debug + Send + Sync + 'static>() {}

    fn is_error<T: std::error::Error + Clone + PartialEq + Send + Sync + 'static>() {}

    /// As the guidelines for APIs ask; what does not compile fails.
    #[test]
    fn types_can_be_cloned_shown_and_sent_to_threads() {
        is_shared::<Client>();
        is_shared::<Config>();
        is_shared::<Retry>();
        is_shared::<Event>();
        is_shared::<Batch>();
        is_shared::<(Channel, SocketId, KeyPair)>();
        is_shared::<(ChannelInfo, ChannelState, CachedEvent, Info, Scheme)>();
        is_shared::<(Authorizer, Member, User, ChannelAuth, UserAuth)>();
        is_shared::<MasterKey>();
        is_shared::<(Webhook, WebhookEvent)>();
        is_shared::<WebhookVerifier>();
        is_shared::<Broadcast>();
        is_shared::<Connection>();
        is_shared::<LogConfig>();
        is_shared::<LogBroadcaster>();
        is_shared::<NullBroadcaster>();
        is_shared::<PusherBroadcaster>();
        #[cfg(feature = "ably")]
        is_shared::<(AblyConfig, AblyBroadcaster)>();
        #[cfg(feature = "redis")]
        is_shared::<(RedisConfig, RedisBroadcaster)>();
        is_shared::<std::sync::Arc<dyn Broadcaster>>();
        is_error::<Error>();
        is_error::<Invalid>();
        is_error::<WebhookError>();
        is_error::<Undecryptable>();
    }
}
