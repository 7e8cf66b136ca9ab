//! A single node.

use std::sync::Arc;

use crate::hub::authority::PeerHandle;
use crate::hub::{Admission, AppHub, Authority, Broadcast, Join, Leave, Receipt, SignIn};
use crate::protocol::ChannelName;
use crate::protocol::member::Member;
use crate::session::CloseReason;

/// The node's own directory decides, under its lock.
#[derive(Clone, Copy, Debug)]
pub struct Local;

impl Authority for Local {
    fn join(&self, app: &Arc<AppHub>, join: Join) {
        app.join_locally(join);
    }

    fn confirm(&self, app: &Arc<AppHub>, peer: PeerHandle, channel: ChannelName) {
        app.confirm_locally(&peer, &channel);
    }

    fn leave(&self, app: &Arc<AppHub>, leave: Leave) {
        app.leave_locally(&leave);
    }

    fn publish(
        &self,
        app: &Arc<AppHub>,
        channel: &str,
        broadcast: Broadcast,
        cache: bool,
        _admission: &Admission,
    ) -> Receipt {
        app.publish_locally(channel, broadcast, cache);
        Receipt::at_once()
    }

    fn sign_in(&self, app: &Arc<AppHub>, sign_in: SignIn) {
        app.sign_in_locally(sign_in);
    }

    fn sign_out(&self, app: &Arc<AppHub>, peer: PeerHandle, user: &Member) {
        app.sign_out_locally(peer, user);
    }

    fn close_user(&self, app: &Arc<AppHub>, user_id: &str, reason: CloseReason) -> Receipt {
        app.close_user_locally(user_id, reason);
        Receipt::at_once()
    }
}
