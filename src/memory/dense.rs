//! A list whose items are found by their keys.

use std::fmt;
use std::hash::{BuildHasher, Hash};

use hashbrown::HashTable;

use super::trim;

/// Up to so many items are looked through, one after the other.
const FEW: usize = 8;

/// Something that is found by a part of itself, which stays the same.
pub trait Keyed {
    /// What it is found by.
    type Key: Eq + Hash + ?Sized;

    /// What it is found by.
    fn key(&self) -> &Self::Key;
}

/// Items in a list without gaps, each with a key of its own: as fast to walk through as any list, and
/// for few of them as small. Many are found by a table of their places.
///
/// The order holds until an item is removed: the last one takes its place.
pub struct Dense<T, S> {
    items: Vec<T>,
    /// The places of all items, once there are many.
    places: Option<Box<HashTable<u32>>>,
    hasher: S,
}

impl<T, S: Default> Default for Dense<T, S> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            places: None,
            hasher: S::default(),
        }
    }
}

impl<T: fmt::Debug, S> fmt::Debug for Dense<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.items).finish()
    }
}

impl<T: Keyed, S: BuildHasher> Dense<T, S> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// All items.
    pub fn as_slice(&self) -> &[T] {
        &self.items
    }

    /// All items, to be changed but for their keys.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.items.iter_mut()
    }

    /// The item with this key.
    pub fn get(&self, key: &T::Key) -> Option<&T> {
        Some(&self.items[self.place(key)?])
    }

    /// The item with this key, to be changed but for its key.
    pub fn get_mut(&mut self, key: &T::Key) -> Option<&mut T> {
        let place = self.place(key)?;
        Some(&mut self.items[place])
    }

    /// Puts an item in, in the place of one with the same key if there is one, which is returned.
    pub fn insert(&mut self, item: T) -> Option<T> {
        if let Some(place) = self.place(item.key()) {
            return Some(std::mem::replace(&mut self.items[place], item));
        }
        if self.items.capacity() == 0 {
            // Many lists never have more than one item.
            self.items.reserve_exact(1);
        }
        self.items.push(item);
        match self.places {
            None if self.items.len() <= FEW => {}
            None => self.note_places(),
            Some(_) => self.note_place(self.items.len() - 1),
        }
        None
    }

    /// Takes an item out.
    pub fn remove(&mut self, key: &T::Key) -> Option<T> {
        let place = self.place(key)?;
        let last = self.items.len() - 1;
        let Self {
            items,
            places,
            hasher,
        } = self;
        if let Some(places) = places {
            let hash = |place: usize| hasher.hash_one(items[place].key());
            if let Ok(entry) = places.find_entry(hash(place), |&at| at as usize == place) {
                entry.remove();
            }
            if let Some(at) = places.find_mut(hash(last), |&at| at as usize == last) {
                *at = place as u32;
            }
        }
        let removed = items.swap_remove(place);
        trim::list(items);
        if items.len() <= FEW / 2 {
            *places = None;
        } else if let Some(places) = places
            && places.capacity() > 16 * items.len()
        {
            places.shrink_to(2 * items.len(), |&at| {
                hasher.hash_one(items[at as usize].key())
            });
        }
        Some(removed)
    }

    /// Takes all items out for which this is true.
    pub fn extract(&mut self, is_meant: impl FnMut(&T) -> bool) -> Vec<T> {
        let items = std::mem::take(&mut self.items);
        let (extracted, left) = items.into_iter().partition(is_meant);
        self.items = left;
        self.places = None;
        if self.items.len() > FEW {
            self.note_places();
        }
        extracted
    }

    /// All items.
    pub fn into_vec(self) -> Vec<T> {
        self.items
    }

    fn place(&self, key: &T::Key) -> Option<usize> {
        match &self.places {
            None => self.items.iter().position(|item| item.key() == key),
            Some(places) => {
                let is_it = |&at: &u32| self.items[at as usize].key() == key;
                let place = places.find(self.hasher.hash_one(key), is_it);
                place.map(|at| *at as usize)
            }
        }
    }

    fn note_places(&mut self) {
        self.places = Some(Box::new(HashTable::with_capacity(self.items.len())));
        for place in 0..self.items.len() {
            self.note_place(place);
        }
    }

    fn note_place(&mut self, place: usize) {
        let Self {
            items,
            places: Some(places),
            hasher,
        } = self
        else {
            return;
        };
        let hash = |place: usize| hasher.hash_one(items[place].key());
        // (More items than u32 counts do not fit into memory.)
        places.insert_unique(hash(place), place as u32, |&at| hash(at as usize));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use foldhash::fast::RandomState;
    use proptest::prelude::*;

    use super::super::testing;
    use super::*;

    impl Keyed for (u8, u32) {
        type Key = u8;

        fn key(&self) -> &u8 {
            &self.0
        }
    }

    proptest! {
        #[test]
        fn it_finds_what_a_map_finds(
            steps in prop::collection::vec((0_u8..3, 0_u8..40, any::<u32>()), 0..400)
        ) {
            let mut dense = Dense::<(u8, u32), RandomState>::default();
            let mut map = HashMap::new();
            for (step, key, value) in steps {
                match step {
                    0 | 1 => {
                        let before = dense.insert((key, value)).map(|(_, before)| before);
                        prop_assert_eq!(before, map.insert(key, value));
                    }
                    _ => {
                        let removed = dense.remove(&key).map(|(_, removed)| removed);
                        prop_assert_eq!(removed, map.remove(&key));
                    }
                }
                prop_assert_eq!(dense.len(), map.len());
                for key in 0..40 {
                    let found = dense.get(&key).map(|(_, value)| value);
                    prop_assert_eq!(found, map.get(&key));
                }
            }
            let odd = dense.extract(|(key, _)| key % 2 == 1);
            prop_assert!(odd.iter().all(|(key, value)| map.get(key) == Some(value)));
            for (key, value) in &map {
                let expected = (key % 2 == 0).then_some((*key, *value));
                prop_assert_eq!(dense.get(key).copied(), expected);
            }
            prop_assert_eq!(odd.len() + dense.len(), map.len());
        }
    }

    #[derive(Debug)]
    struct Number(u64);

    impl Keyed for Number {
        type Key = u64;

        fn key(&self) -> &u64 {
            &self.0
        }
    }

    #[test]
    fn few_items_take_no_table_and_many_give_theirs_back() {
        let before = testing::held();
        let mut dense = Dense::<Number, RandomState>::default();
        dense.insert(Number(0));
        assert_eq!(testing::held() - before, size_of::<Number>() as isize);
        for number in 1..10_000 {
            dense.insert(Number(number));
        }
        assert!(testing::held() - before < 30 * 10_000);
        for number in 1..10_000 {
            dense.remove(&number);
        }
        assert_eq!(dense.as_slice()[0].0, 0);
        assert!(testing::held() - before < 2000);
    }
}
