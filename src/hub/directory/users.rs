//! The users of an app that are signed in on this node.

use std::sync::Arc;

use super::listeners::Listeners;
use super::table::Table;
use crate::hub::mailbox::{AppIndex, Control, Joined, JoinedAs};
use crate::hub::moves::PeerHandle;
use crate::metrics::Gauge;
use crate::protocol::Frame;
use crate::protocol::member::Member;
use crate::session::CloseReason;

/// The users of an app that are signed in. To the shards a user is like a channel, whose
/// subscribers are the user's connections.
#[derive(Debug)]
pub(in crate::hub) struct Users {
    app: AppIndex,
    table: Table<Arc<str>, Listeners>,
}

impl Users {
    /// Nobody yet. `signed_in` shows how many there are.
    pub(in crate::hub) fn new(app: AppIndex, signed_in: Gauge) -> Self {
        Self {
            app,
            table: Table::new(signed_in),
        }
    }

    /// Counts a connection as the user's, and posts `reply` into its mailbox.
    pub(in crate::hub) fn register(
        &self,
        peer: &PeerHandle,
        user: Arc<Member>,
        reply: Option<Frame>,
    ) {
        let mut locked = self.table.lock(user.user_id());
        let (slot, wakes) = locked.parts();
        let listeners = self.table.occupy(slot, user.user_id(), Listeners::new);
        listeners.add(&peer.mailbox);
        let control = Control::Join {
            peer: peer.id,
            channel: listeners.id(),
            joined: Box::new(Joined {
                app: self.app,
                as_what: JoinedAs::User { user, reply },
            }),
        };
        peer.mailbox.post(control, wakes);
    }

    /// A connection is no longer the user's.
    pub(in crate::hub) fn remove(&self, peer: &PeerHandle, user_id: &str) {
        let mut locked = self.table.lock(user_id);
        let (slot, wakes) = locked.parts();
        let Some(listeners) = slot.get_mut(user_id) else {
            return;
        };
        listeners.remove(&peer.mailbox);
        let control = Control::Leave {
            peer: peer.id,
            channel: listeners.id(),
        };
        peer.mailbox.post(control, wakes);
        if listeners.is_empty() {
            self.table.forget(slot, user_id);
        }
    }

    /// Closes all connections of the user.
    pub(in crate::hub) fn close(&self, user_id: &str, reason: &Arc<CloseReason>) {
        let mut locked = self.table.lock(user_id);
        let (slot, wakes) = locked.parts();
        if let Some(listeners) = slot.get(user_id) {
            listeners.close(reason, wakes);
        }
    }
}
