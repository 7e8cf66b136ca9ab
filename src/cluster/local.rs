//! A single node.

use std::io;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::hub::idempotency::{SharedClaim, SharedTurn};
use crate::hub::{
    Admission, Answer, AppHub, Apps, Authority, Broadcast, Caching, ChannelReport, Detail, Join,
    Leave, PeerHandle, Receipt, SignIn, Standing, Unavailable,
};
use crate::protocol::ChannelName;
use crate::protocol::member::{Member, Watchlist};
use crate::session::CloseReason;

/// The node's own directory decides, under its lock.
#[derive(Clone, Copy, Debug)]
pub struct Local;

impl Authority for Local {
    fn start(&self, _apps: Arc<Apps>) -> io::Result<()> {
        Ok(())
    }

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
        caching: Caching,
        _admission: &Admission,
    ) -> Receipt {
        app.publish_locally(channel, broadcast, caching);
        Receipt::at_once()
    }

    fn sign_in(&self, app: &Arc<AppHub>, sign_in: SignIn) {
        app.sign_in_locally(sign_in);
    }

    fn sign_out(&self, app: &Arc<AppHub>, peer: PeerHandle, user: &Member) {
        app.sign_out_locally(&peer, user);
    }

    fn close_user(&self, app: &Arc<AppHub>, user_id: &str, reason: CloseReason) -> Receipt {
        app.close_user_locally(user_id, reason);
        Receipt::at_once()
    }

    fn unwatch(&self, app: &Arc<AppHub>, peer: &PeerHandle, watchlist: &Watchlist) {
        app.unwatch_locally(peer, watchlist);
    }

    fn undo_watch(&self, app: &Arc<AppHub>, peer: &PeerHandle, watchlist: &Watchlist) {
        app.undo_watch_locally(peer, watchlist);
    }

    fn reaches_beyond(&self) -> bool {
        false
    }

    fn has_others(&self) -> bool {
        false
    }

    fn admit(&self, _bytes: usize) -> Result<Admission, Unavailable> {
        Ok(Admission::default())
    }

    fn channel(&self, app: &Arc<AppHub>, channel: &str, detail: Detail) -> Answer<ChannelReport> {
        Answer::Now(app.channel_locally(channel, detail))
    }

    fn channels(
        &self,
        app: &Arc<AppHub>,
        prefix: &str,
        detail: Detail,
    ) -> Answer<Vec<(ChannelName, ChannelReport)>> {
        Answer::Now(app.channels_locally(prefix, detail))
    }

    fn members(&self, app: &Arc<AppHub>, channel: &str) -> Answer<Vec<Arc<str>>> {
        Answer::Now(app.members_locally(channel))
    }

    fn nodes(&self) -> Answer<Vec<String>> {
        Answer::Now(Vec::new())
    }

    fn claim(&self, _app: &Arc<AppHub>, _key: &str) -> Answer<SharedClaim> {
        Answer::Now(SharedClaim::Granted(SharedTurn::of_nobody()))
    }

    /// There is nobody who would have to know.
    fn apps_changed(&self) {}

    fn apps_changed_elsewhere(&self) -> Option<Arc<Notify>> {
        None
    }

    fn standing(&self) -> Standing {
        Standing::Well
    }

    fn trouble(&self) -> Option<String> {
        None
    }

    fn backlog_bytes(&self) -> usize {
        0
    }

    /// There is nobody to leave: events are taken to the end.
    fn begin_leaving(&self) {}

    fn stop(&self) -> Receipt {
        Receipt::at_once()
    }
}
