//! What a session leaves behind.

use std::sync::Arc;

use crate::protocol::ChannelName;
use crate::protocol::member::{Member, Watchlist};

/// What a session leaves behind.
#[derive(Debug, Default)]
pub struct Ended {
    /// The channels it was on, and as whom.
    pub subscriptions: Vec<(ChannelName, Option<Arc<Member>>)>,
    /// The user that it was registered as.
    pub user: Option<Arc<Member>>,
    /// How often it was.
    pub registrations: u32,
    /// The users of whom it was notified.
    pub watchlist: Option<Watchlist>,
}
