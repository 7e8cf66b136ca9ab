//! A connection's place in the tables.

use std::ops::Deref;
use std::rc::Rc;

use super::peer::Peer;
use super::tables::Tables;
use crate::hub::app::AppPermit;
use crate::hub::moves::Leave;
use crate::metrics::ClosedWith;
use crate::session::Session;

/// A connection in the tables of its shard and in the directory. Dropping it is the only way
/// out of both, on every path.
#[derive(Debug)]
pub struct Registration {
    peer: Rc<Peer>,
    tables: Rc<Tables>,
    /// Given back when all else is.
    _permit: AppPermit,
}

impl Registration {
    pub(super) fn new(peer: Rc<Peer>, tables: Rc<Tables>, permit: AppPermit) -> Self {
        Self {
            peer,
            tables,
            _permit: permit,
        }
    }

    /// The session's deadline has come closer.
    pub fn reschedule(&self) {
        self.tables.reschedule(&self.peer);
    }

    /// Leaves every channel and the user at once, though the socket may still have to be
    /// closed in good order. Costs as much as the connection has subscriptions.
    pub fn end(&self) {
        let ended = self.peer.with_session(Session::end);
        let (app, authority) = (self.peer.app(), self.tables.authority());
        for (channel, member) in ended.subscriptions {
            let leave = Leave {
                peer: self.peer.handle(),
                channel,
                member,
            };
            authority.leave(app, leave);
        }
        if let Some(watchlist) = ended.watchlist {
            authority.unwatch(app, &self.peer.handle(), &watchlist);
        }
        if let Some(user) = ended.user {
            authority.sign_out(app, self.peer.handle(), &user);
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
        self.tables.remove(self.peer.id());
        let app = self.peer.app();
        let closed_with = ClosedWith::from(self.peer.closed_with());
        app.metrics.closes.with(closed_with).inc();
    }
}
