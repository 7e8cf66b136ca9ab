//! What requests of a client are distinguished by: pusher-js numbers them from 1 on (`n`), whatever they are for.
//! Browsers and proxies make a request again whose answer they did not get.
//!
//! Source: pusher-js, `getUniqueURL`.

use crate::auth::request::Query;

/// How far behind the newest a number may be and still be known: far more than are ever under way.
const KNOWN: u32 = u128::BITS;

/// A request's number, if it has one.
pub(super) fn number(query: &Query<'_>) -> Option<u64> {
    query.get("n")?.parse().ok()
}

/// Numbers that were seen, which come in about their order.
#[derive(Debug, Default)]
pub(super) struct Seen {
    newest: u64,
    /// Bit `i` stands for `newest - i`.
    before: u128,
}

impl Seen {
    /// Takes note of a number. Returns whether it is new, as far as is known.
    pub(super) fn insert(&mut self, number: u64) -> bool {
        if number > self.newest {
            let by = u32::try_from(number - self.newest).unwrap_or(u32::MAX);
            self.before = self.before.checked_shl(by).unwrap_or(0) | 1;
            self.newest = number;
            return true;
        }
        let behind = self.newest - number;
        if behind >= u64::from(KNOWN) {
            return true;
        }
        let bit = 1 << behind;
        let is_new = self.before & bit == 0;
        self.before |= bit;
        is_new
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_number_is_new_once(jumps in prop::collection::vec((0u64..6, 0u64..100), 0..500)) {
            let (mut seen, mut all, mut top) = (Seen::default(), HashSet::new(), 0);
            for (jump, behind) in jumps {
                top += jump;
                let number = top.saturating_sub(behind % 100) + 1;
                prop_assert_eq!(seen.insert(number), all.insert(number));
            }
        }
    }

    #[test]
    fn numbers_far_apart_are_new() {
        let mut seen = Seen::default();
        for number in [7, u64::MAX, u64::MAX - 1, 7, 8] {
            assert!(seen.insert(number), "{number}");
        }
        assert!(!seen.insert(u64::MAX));
        assert!(!seen.insert(u64::MAX - 1));
    }
}
