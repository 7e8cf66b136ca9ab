//! Who decides about a channel's transitions.

use std::sync::Arc;
use std::{fmt, io};

use tokio::sync::Notify;

use super::app::AppHub;
use super::app::idempotency::SharedClaim;
use super::apps::Apps;
use super::backlog::Admission;
use super::broadcast::{Broadcast, Caching};
use super::moves::{Join, Leave, PeerHandle, SignIn};
use super::outcome::{Answer, ChannelReport, Detail, Receipt, Standing, Unavailable};
use crate::protocol::ChannelName;
use crate::protocol::member::{Member, Watchlist};
use crate::session::CloseReason;

/// Decides about joins and leaves, and with them about a channel's transitions (occupied and
/// vacated, member added and removed). On a single node it is the directory, under its lock;
/// in a cluster it is a script that all nodes share, and its answer takes a while.
///
/// So nothing is returned: the outcome of a join reaches the connection through its shard's
/// mailbox, as a welcome or a refusal. An implementation keeps the order of one connection's
/// moves on one channel: a leave never overtakes the join before it.
///
/// No method has a body here: one that answered for this node alone would be believed of all.
pub trait Authority: fmt::Debug + Send + Sync {
    /// Goes to work for the apps that there are at the time. Called once, before anything else is asked.
    fn start(&self, apps: Arc<Apps>) -> io::Result<()>;

    /// A connection wants to be on a channel. Called once until the leave.
    fn join(&self, app: &Arc<AppHub>, join: Join);

    /// A connection that is on a channel, or has asked to be, wants that confirmed again.
    fn confirm(&self, app: &Arc<AppHub>, peer: PeerHandle, channel: ChannelName);

    /// A connection that was admitted is no longer on the channel.
    fn leave(&self, app: &Arc<AppHub>, leave: Leave);

    /// An event goes to all subscribers of a channel. It was admitted by [`Authority::admit`].
    fn publish(
        &self,
        app: &Arc<AppHub>,
        channel: &str,
        broadcast: Broadcast,
        caching: Caching,
        admission: &Admission,
    ) -> Receipt;

    /// A connection is to be registered as a user's.
    fn sign_in(&self, app: &Arc<AppHub>, sign_in: SignIn);

    /// A connection that was registered as a user's has ended.
    fn sign_out(&self, app: &Arc<AppHub>, peer: PeerHandle, user: &Member);

    /// All connections of a user are to be closed.
    fn close_user(&self, app: &Arc<AppHub>, user_id: &str, reason: CloseReason) -> Receipt;

    /// A connection that watched users has ended.
    fn unwatch(&self, app: &Arc<AppHub>, peer: &PeerHandle, watchlist: &Watchlist);

    /// A connection that was to watch users does not want to, and was never sent anything of them.
    fn undo_watch(&self, app: &Arc<AppHub>, peer: &PeerHandle, watchlist: &Watchlist);

    /// Whether there may be other nodes: an event may be wanted where this node does not see it.
    fn reaches_beyond(&self) -> bool;

    /// Whether other nodes are there now, as far as this one knows: clients go there when it goes away. One that knows
    /// nothing takes it that they are.
    fn has_others(&self) -> bool;

    /// Lets events of so many bytes in, before they are posted anywhere, unless too much waits
    /// for other nodes already.
    fn admit(&self, bytes: usize) -> Result<Admission, Unavailable>;

    /// What is known about a channel.
    fn channel(&self, app: &Arc<AppHub>, channel: &str, detail: Detail) -> Answer<ChannelReport>;

    /// The occupied channels whose name begins so, with what is known about them.
    fn channels(
        &self,
        app: &Arc<AppHub>,
        prefix: &str,
        detail: Detail,
    ) -> Answer<Vec<(ChannelName, ChannelReport)>>;

    /// The ids of a presence channel's members.
    fn members(&self, app: &Arc<AppHub>, channel: &str) -> Answer<Vec<Arc<str>>>;

    /// The ids of the nodes that are there, this one among them; none, where no others can be.
    fn nodes(&self) -> Answer<Vec<String>>;

    /// Asks those who share idempotency keys for one that nobody on this node publishes under.
    fn claim(&self, app: &Arc<AppHub>, key: &str) -> Answer<SharedClaim>;

    /// Apps of the database that the nodes share were changed by this one: the others look at it at once, as far as they
    /// can be reached.
    fn apps_changed(&self);

    /// Notified when apps of the database may have been changed by another node. None: no other would say so.
    fn apps_changed_elsewhere(&self) -> Option<Arc<Notify>>;

    /// Whether the node is where it belongs.
    fn standing(&self) -> Standing;

    /// Why it is not, where more is known than [`Standing`] has room for. It may be shown to anybody.
    fn trouble(&self) -> Option<String>;

    /// Bytes of events that wait for other nodes.
    fn backlog_bytes(&self) -> usize;

    /// The node goes away: events that would have to be published to other nodes are no longer admitted.
    fn begin_leaving(&self);

    /// Publishes to other nodes all that is left, and leaves them. The receipt may never become
    /// ready while they are out of reach.
    fn stop(&self) -> Receipt;
}
