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
    /// The users that it was told of.
    pub watchlist: Option<Watchlist>,
}
