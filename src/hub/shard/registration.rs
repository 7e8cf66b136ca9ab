//! A connection's place in the tables.

use std::ops::Deref;
use std::rc::Rc;

use super::authority::Leave;
use super::peer::Peer;
use super::shard::Shard;
use crate::metrics::ClosedWith;

/// A connection in the tables of its shard and in the directory. Dropping it is the only way
/// out of both, on every path.
#[derive(Debug)]
pub struct Registration {
    peer: Rc<Peer>,
    shard: Shard,
}

impl Registration {
    pub(super) fn new(peer: Rc<Peer>, shard: Shard) -> Self {
        Self { peer, shard }
    }

    /// The session's deadline has come closer.
    pub fn reschedule(&self) {
        self.shard.reschedule(&self.peer);
    }

    /// Leaves every channel and the user at once, though the socket may still have to be
    /// closed in good order. Costs as much as the connection has subscriptions.
    pub fn end(&self) {
        let ended = self.peer.session.borrow_mut().end();
        let app = self.peer.app();
        for (channel, member) in ended.subscriptions {
            let leave = Leave {
                peer: self.peer.handle(),
                channel,
                member,
            };
            app.authority().leave(app, leave);
        }
        if let Some(watchlist) = ended.watchlist {
            app.authority()
                .unwatch(app, &self.peer.handle(), &watchlist);
        }
        if let Some(user) = ended.user {
            app.authority().sign_out(app, self.peer.handle(), &user);
        }
    }
}

impl Deref for Registration {
    type Target = Peer;

    fn deref(&self) -> &Peer {
        &self.peer
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.end();
        self.shard.forget(self.peer.id());
        let app = self.peer.app();
        let closed_with = ClosedWith::from(self.peer.closed_with());
        app.metrics.closes.with(closed_with).inc();
        app.release();
    }
}
