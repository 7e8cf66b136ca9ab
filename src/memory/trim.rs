//! Giving back what a table or queue no longer needs.
//!
//! What grows with what strangers do would otherwise stay as large as it was once. Memory goes back
//! when little of it is used, so that each step is paid for by as many removals.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash};

/// Room for so many is never given back.
const KEPT: usize = 64;
/// Memory of which less than this part is used is given back.
const USED_PART: usize = 8;

/// How much room is left to so many items; None if it stays as it is.
fn new_room(len: usize, room: usize) -> Option<usize> {
    let is_much = room > KEPT && len < room / USED_PART;
    is_much.then_some(len * 2)
}

/// Gives back memory of a table from which something was removed.
pub fn table<K: Eq + Hash, V, S: BuildHasher>(table: &mut HashMap<K, V, S>) {
    if let Some(room) = new_room(table.len(), table.capacity()) {
        table.shrink_to(room);
    }
}

/// Gives back memory of a queue from which something was removed.
pub fn queue<T>(queue: &mut VecDeque<T>) {
    if let Some(room) = new_room(queue.len(), queue.capacity()) {
        queue.shrink_to(room);
    }
}

/// Gives back memory of a list from which something was removed.
pub fn list<T>(list: &mut Vec<T>) {
    if let Some(room) = new_room(list.len(), list.capacity()) {
        list.shrink_to(room);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_removed_takes_its_memory_with_it() {
        let mut numbers: HashMap<u32, u32> = (0..10_000).map(|n| (n, n)).collect();
        let mut waiting: VecDeque<u32> = (0..10_000).collect();
        let mut known: Vec<u32> = (0..10_000).collect();
        for n in 0..9_990 {
            numbers.remove(&n);
            table(&mut numbers);
            waiting.pop_front();
            queue(&mut waiting);
            known.pop();
            list(&mut known);
        }
        assert!(numbers.capacity() <= 2 * KEPT, "{}", numbers.capacity());
        assert!(waiting.capacity() <= 2 * KEPT && known.capacity() <= 2 * KEPT);
        assert_eq!(numbers.len(), 10);
        assert!(waiting.iter().copied().eq(9_990..10_000));
        assert!(known.iter().copied().eq(0..10));
    }
}
