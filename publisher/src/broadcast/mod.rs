//! Broadcasting as Laravel does it: events that know their name, their channels and their
//! payload, and drivers that take them to wherever the environment says.
//!
//! - [`event`]: the trait of events, and an event ready to go
//! - [`connection`], [`environment`]: which driver, by Laravel's environment variables
//! - [`pusher`], [`log`] with its [`log_file`], [`redis`], [`ably`], [`null`]: the drivers
//! - [`slug`]: a part of Laravel's prefix in Redis

#![cfg_attr(
    not(all(feature = "ably", feature = "redis")),
    allow(
        rustdoc::broken_intra_doc_links,
        reason = "the list names the drivers that are left out, too"
    )
)]

#[cfg(feature = "ably")]
mod ably;
mod connection;
mod environment;
mod event;
mod log;
mod log_file;
mod null;
mod pusher;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "redis")]
mod slug;

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

#[cfg(feature = "ably")]
pub use ably::{AblyBroadcaster, AblyConfig};
pub use connection::Connection;
pub use event::{Broadcast, BroadcastEvent};
pub use log::{LogBroadcaster, LogConfig};
pub use null::NullBroadcaster;
pub use pusher::PusherBroadcaster;
#[cfg(feature = "redis")]
pub use redis::{RedisBroadcaster, RedisConfig};

use crate::Error;

/// What [`Broadcaster::broadcast`] returns.
pub type BroadcastFuture<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

/// A driver: takes events to their channels.
pub trait Broadcaster: Debug + Send + Sync {
    /// The driver's name, as in `BROADCAST_CONNECTION`.
    fn name(&self) -> &'static str;

    /// Broadcasts an event. One without channels goes nowhere, successfully.
    fn broadcast<'a>(&'a self, broadcast: &'a Broadcast) -> BroadcastFuture<'a>;
}
