//! The subscribers of a channel that are there, on one shard.

use std::rc::Rc;

use rustc_hash::FxBuildHasher;

use super::peer::Peer;
use crate::hub::mailbox::PeerId;
use crate::memory::{Dense, Keyed};

impl Keyed for Rc<Peer> {
    type Key = PeerId;

    fn key(&self) -> &PeerId {
        self.id_ref()
    }
}

/// The subscribers of a channel that are there, in an order that holds until one is removed. Most
/// channels have one, which takes no list.
#[derive(Debug, Default)]
pub(super) enum Subscribers {
    #[default]
    Nobody,
    One(Rc<Peer>),
    Several(Box<Dense<Rc<Peer>, FxBuildHasher>>),
}

impl Subscribers {
    /// Puts a subscriber in, once.
    pub(super) fn insert(&mut self, peer: Rc<Peer>) {
        *self = match std::mem::take(self) {
            Self::Nobody => Self::One(peer),
            Self::One(first) if first.id() == peer.id() => Self::One(peer),
            Self::One(first) => {
                let mut several = Box::<Dense<_, _>>::default();
                several.insert(first);
                several.insert(peer);
                Self::Several(several)
            }
            Self::Several(mut several) => {
                several.insert(peer);
                Self::Several(several)
            }
        }
    }

    /// Takes a subscriber out. The last one takes its place.
    pub(super) fn remove(&mut self, id: PeerId) -> Option<Rc<Peer>> {
        match self {
            Self::One(peer) if peer.id() == id => match std::mem::take(self) {
                Self::One(peer) => Some(peer),
                Self::Nobody | Self::Several(_) => None,
            },
            Self::Nobody | Self::One(_) => None,
            Self::Several(several) => {
                let removed = several.remove(&id);
                if several.len() == 1 {
                    let last = std::mem::take(&mut **several).into_vec().pop();
                    *self = last.map_or(Self::Nobody, Self::One);
                }
                removed
            }
        }
    }

    /// All of them.
    pub(super) fn as_slice(&self) -> &[Rc<Peer>] {
        match self {
            Self::Nobody => &[],
            Self::One(peer) => std::slice::from_ref(peer),
            Self::Several(several) => several.as_slice(),
        }
    }
}
