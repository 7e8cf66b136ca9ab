//! A connection that is to be notified of users, once it is known who of them is online.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use crate::hub::{AppHub, PeerHandle};
use crate::protocol::Frame;
use crate::protocol::member::Watchlist;

/// Waits until all of the users are known, and the connection itself is signed in.
#[derive(Debug)]
pub(super) struct PendingWatch {
    app: Arc<AppHub>,
    peer: PeerHandle,
    watchlist: Watchlist,
    complaint: RefCell<Option<Frame>>,
    unknown: Cell<usize>,
}

impl PendingWatch {
    pub(super) fn new(
        app: Arc<AppHub>,
        peer: PeerHandle,
        watchlist: Watchlist,
        complaint: Option<Frame>,
    ) -> Self {
        Self {
            unknown: Cell::new(watchlist.len() + 1),
            app,
            peer,
            watchlist,
            complaint: RefCell::new(complaint),
        }
    }

    /// One more of them is known, or the connection is signed in. With the last, it is notified.
    pub(super) fn one_known(&self) {
        self.unknown.set(self.unknown.get().saturating_sub(1));
        if self.unknown.get() == 0 {
            let complaint = self.complaint.take();
            self.app
                .watch_shared(&self.peer, &self.watchlist, complaint);
        }
    }
}
