//! Names, and what is known of each, spread over a few short locks.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash};

use foldhash::fast::RandomState;
use parking_lot::{Mutex, MutexGuard};

use crate::hub::mailbox::Locked;
use crate::memory::trim;
use crate::metrics::Gauge;

/// Locks that an app's names are spread over.
const SLOTS: usize = 16;

/// The names under one lock.
pub(super) type Slot<K, V> = HashMap<K, V, RandomState>;

/// Names that connections listen to, and what is known of each.
#[derive(Debug)]
pub(super) struct Table<K, V> {
    slots: [Mutex<Slot<K, V>>; SLOTS],
    hasher: RandomState,
    /// How many names there are.
    occupied: Gauge,
}

impl<K: Borrow<str> + Clone + Eq + Hash, V> Table<K, V> {
    /// No names. `occupied` shows how many there are.
    pub(super) fn new(occupied: Gauge) -> Self {
        Self {
            slots: Default::default(),
            hasher: RandomState::default(),
            occupied,
        }
    }

    /// Locks the slot of a name, to post under the lock.
    pub(super) fn lock(&self, name: &str) -> Locked<'_, Slot<K, V>> {
        Locked::new(self.slot(name))
    }

    /// Locks the slot of a name, to look at it.
    pub(super) fn read(&self, name: &str) -> MutexGuard<'_, Slot<K, V>> {
        self.slot(name).lock()
    }

    fn slot(&self, name: &str) -> &Mutex<Slot<K, V>> {
        // Bits that the tables inside the slots use least.
        let hash = self.hasher.hash_one(name) >> 32;
        &self.slots[hash as usize % SLOTS]
    }

    /// Every slot, locked one after the other. Nothing may be posted under these locks.
    pub(super) fn slots(&self) -> impl Iterator<Item = MutexGuard<'_, Slot<K, V>>> {
        self.slots.iter().map(Mutex::lock)
    }

    /// What is known of a name, which is occupied from now on.
    pub(super) fn occupy<'s>(
        &self,
        slot: &'s mut Slot<K, V>,
        name: &K,
        new: impl FnOnce() -> V,
    ) -> &'s mut V {
        slot.entry(name.clone()).or_insert_with(|| {
            self.occupied.inc();
            new()
        })
    }

    /// The name is no longer occupied.
    pub(super) fn forget(&self, slot: &mut Slot<K, V>, name: &str) {
        if slot.remove(name).is_some() {
            self.occupied.dec();
            trim::table(slot);
        }
    }
}
