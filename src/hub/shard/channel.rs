//! A channel on one shard.

use std::rc::Rc;
use std::sync::Arc;

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use super::peer::Peer;
use crate::hub::app::AppHub;
use crate::hub::mailbox::PeerId;

/// The local subscribers of a channel.
pub(super) struct LocalChannel {
    app: Arc<AppHub>,
    peers: IndexMap<PeerId, Rc<Peer>, FxBuildHasher>,
}

impl LocalChannel {
    pub(super) fn new(app: Arc<AppHub>) -> Self {
        Self {
            app,
            peers: IndexMap::default(),
        }
    }

    pub(super) fn insert(&mut self, peer: Rc<Peer>) {
        self.peers.insert(peer.id(), peer);
    }

    pub(super) fn remove(&mut self, id: PeerId) -> Option<Rc<Peer>> {
        self.peers.swap_remove(&id)
    }

    pub(super) fn app(&self) -> &AppHub {
        &self.app
    }

    /// Its subscribers, in an order that holds until one is removed.
    pub(super) fn peers(&self) -> indexmap::map::Values<'_, PeerId, Rc<Peer>> {
        self.peers.values()
    }

    pub(super) fn len(&self) -> usize {
        self.peers.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }
}
