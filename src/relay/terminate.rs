//! Ends of a user's connections.

use std::sync::Arc;

use super::Relay;
use crate::hub::{AppHub, Receipt};
use crate::protocol::CloseCode;
use crate::session::CloseReason;

impl Relay {
    /// Closes every connection that is signed in as the user.
    pub fn terminate_user(&self, app: &Arc<AppHub>, user_id: &str) -> Receipt {
        let reason = CloseReason::new(
            CloseCode::Unauthorized,
            "the app's backend has ended this user's connections",
        );
        self.authority.close_user(app, user_id, reason)
    }

    /// Closes every connection that is signed in as the user so that clients connect again at
    /// once.
    pub fn reconnect_user(&self, app: &Arc<AppHub>, user_id: &str) -> Receipt {
        let reason = CloseReason::new(
            CloseCode::Reconnect,
            "the app's backend asks this user's clients to connect again",
        );
        self.authority.close_user(app, user_id, reason)
    }
}
