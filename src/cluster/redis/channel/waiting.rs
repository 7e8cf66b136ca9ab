//! Who waits until the channel is known.

use std::rc::Rc;
use std::sync::Arc;

use crate::cluster::redis::next_join::NextJoin;
use crate::cluster::redis::watch::PendingWatch;
use crate::hub::{Join, PeerHandle};
use crate::protocol::Frame;
use crate::protocol::member::Member;

/// What is done for a connection then.
#[derive(Debug)]
pub(super) enum Waiting {
    Join(Join),
    Confirm(PeerHandle),
    SignIn(SigningIn),
    Watch(Rc<PendingWatch>),
}

/// A connection that is to be registered as a user's.
#[derive(Debug)]
pub(in crate::cluster::redis) struct SigningIn {
    pub(in crate::cluster::redis) peer: PeerHandle,
    pub(in crate::cluster::redis) user: Arc<Member>,
    pub(in crate::cluster::redis) reply: Option<Frame>,
    /// What is announced to it of other users, after the reply.
    pub(in crate::cluster::redis) watch: Option<Rc<PendingWatch>>,
    /// What it joins then.
    pub(in crate::cluster::redis) join: Option<NextJoin>,
}
