//! A connection's place in the tables.

use std::net::IpAddr;
use std::ops::Deref;
use std::rc::Rc;
use std::time::Instant;

use super::carrier::Carrier;
use super::peer::Peer;
use super::tables::Tables;
use crate::hub::app::AppPermit;
use crate::hub::authority::Authority;
use crate::hub::moves::Leave;
use crate::metrics::ClosedWith;
use crate::session::{Ended, Session, SignOfLife};

/// A connection in the tables of its shard and in the directory. Dropping it is the only way
/// out of both, on every path.
#[derive(Debug)]
pub struct Registration {
    peer: Rc<Peer>,
    tables: Rc<Tables>,
    /// None while its client is away. Given back when all else is.
    permit: Option<AppPermit>,
}

impl Registration {
    pub(super) fn new(peer: Rc<Peer>, tables: Rc<Tables>, permit: AppPermit) -> Self {
        tables.metrics.connections.inc();
        Self {
            peer,
            tables,
            permit: Some(permit),
        }
    }

    /// Where its client is, who may have come back from elsewhere.
    pub fn set_address(&self, address: Option<IpAddr>) {
        self.tables.set_address(self.peer.id(), address);
    }

    /// Where its client is, or was last.
    pub fn address(&self) -> Option<IpAddr> {
        self.tables.address(self.peer.id())
    }

    /// The session's deadline has come closer.
    pub fn reschedule(&self) {
        self.tables.reschedule(&self.peer);
    }

    /// When the connection's thread last went on after it had not run for a while.
    pub fn went_on_at(&self, now: Instant) -> Option<Instant> {
        self.tables.standstill.ended_at(now)
    }

    /// Leaves every channel and the user at once, though the socket may still have to be
    /// closed in good order. Costs as much as the connection has subscriptions.
    pub fn end(&self) {
        let ended = self.peer.with_session(Session::end);
        leave_all(&self.peer, self.tables.authority(), ended);
    }

    /// The client is away, and may come back until then: all stays as it is, but that the connection no
    /// longer counts among those that are open.
    pub fn park(&mut self, until: Instant) {
        if self.permit.take().is_some() {
            self.tables.metrics.connections.dec();
        }
        let now = Instant::now();
        self.peer.with_session(|session| session.park(until, now));
        self.peer.detach();
    }

    /// The client is back, and counts again.
    pub fn resume(&mut self, permit: AppPermit, carrier: Carrier, sign_of_life: SignOfLife) {
        if self.permit.replace(permit).is_none() {
            self.tables.metrics.connections.inc();
        }
        let now = Instant::now();
        self.peer
            .with_session(|session| session.resume(sign_of_life, now));
        self.peer.attach(carrier);
        self.reschedule();
    }
}

/// Leaves what a session leaves behind, or a part of it.
pub fn leave_all(peer: &Peer, authority: &dyn Authority, ended: Ended) {
    let app = peer.app();
    for (channel, member) in ended.subscriptions {
        let leave = Leave {
            peer: peer.handle(),
            channel,
            member,
        };
        authority.leave(app, leave);
    }
    if let Some(watchlist) = ended.watchlist {
        authority.unwatch(app, &peer.handle(), &watchlist);
    }
    if let Some(user) = ended.user {
        for _ in 0..ended.registrations {
            authority.sign_out(app, peer.handle(), &user);
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
        if self.permit.is_some() {
            self.tables.metrics.connections.dec();
        }
        let app = self.peer.app();
        let closed_with = ClosedWith::from(self.peer.closed_with());
        app.metrics.closes.with(closed_with).inc();
    }
}
