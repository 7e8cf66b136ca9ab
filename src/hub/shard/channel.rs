//! A channel on one shard.

use std::rc::Rc;

use super::absent::Absent;
use super::peer::Peer;
use super::subscribers::Subscribers;
use crate::hub::app::AppHub;
use crate::hub::mailbox::PeerId;

/// The local subscribers of a channel.
#[derive(Debug, Default)]
pub(super) struct LocalChannel {
    present: Subscribers,
    /// Those who are away, if anybody is.
    absent: Option<Box<Absent>>,
}

impl LocalChannel {
    pub(super) fn insert(&mut self, peer: Rc<Peer>) {
        self.present.insert(peer);
    }

    /// Takes out one that is there.
    pub(super) fn remove_present(&mut self, id: PeerId) -> Option<Rc<Peer>> {
        self.present.remove(id)
    }

    /// Takes out a subscriber, there or away.
    pub(super) fn remove(&mut self, id: PeerId) -> Option<Rc<Peer>> {
        let present = self.remove_present(id);
        let (None, Some(absent)) = (&present, &mut self.absent) else {
            return present;
        };
        let removed = absent.remove(id);
        self.drop_empty();
        removed
    }

    pub(super) fn absent_or_insert(&mut self, make: impl FnOnce() -> Absent) -> &mut Absent {
        self.absent.get_or_insert_with(|| Box::new(make()))
    }

    pub(super) fn absent_mut(&mut self) -> Option<&mut Absent> {
        self.absent.as_deref_mut()
    }

    /// Keeps nothing for nobody.
    pub(super) fn drop_empty(&mut self) {
        self.absent.take_if(|absent| absent.is_empty());
    }

    /// All its subscribers, those who are away included.
    pub(super) fn everybody(&self) -> impl Iterator<Item = &Rc<Peer>> {
        let absent = self.absent.iter().flat_map(|absent| absent.peers());
        self.peers().iter().chain(absent)
    }

    /// The app of its subscribers; None if it has none.
    pub(super) fn app(&self) -> Option<&AppHub> {
        let peer = self.everybody().next()?;
        Some(peer.app())
    }

    /// Its subscribers that are there, in an order that holds until one is removed.
    pub(super) fn peers(&self) -> &[Rc<Peer>] {
        self.present.as_slice()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.peers().is_empty() && self.absent.is_none()
    }
}
