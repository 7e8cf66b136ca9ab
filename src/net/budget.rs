//! Bytes that may be held in all, whoever holds them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::tally::Full;
use crate::metrics::Gauge;

/// A number of bytes that many share.
#[derive(Debug)]
pub struct Budget {
    bytes: usize,
    left: AtomicUsize,
    held: Gauge,
}

/// What one holder has taken of a budget; given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    /// So many bytes, all of them left. `held` shows how many are not.
    pub fn new(bytes: usize, held: Gauge) -> Arc<Self> {
        Arc::new(Self {
            bytes,
            left: AtomicUsize::new(bytes),
            held,
        })
    }
}

impl Share {
    /// Nothing yet.
    pub fn of(budget: &Arc<Budget>) -> Self {
        Self {
            budget: Arc::clone(budget),
            bytes: 0,
        }
    }

    /// Takes more until it is so many bytes, if they are left.
    pub fn grow_to(&mut self, bytes: usize) -> Result<(), Full> {
        self.grow(bytes, 0)
    }

    /// The same, if half of the budget is then left to those who need little.
    pub fn grow_within_half_to(&mut self, bytes: usize) -> Result<(), Full> {
        self.grow(bytes, self.budget.bytes / 2)
    }

    fn grow(&mut self, bytes: usize, to_leave: usize) -> Result<(), Full> {
        let more = bytes.saturating_sub(self.bytes);
        if more == 0 {
            return Ok(());
        }
        self.budget
            .left
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
                left.checked_sub(more).filter(|rest| *rest >= to_leave)
            })
            .map_err(|_| Full)?;
        self.budget.held.inc_by(more as i64);
        self.bytes = bytes;
        Ok(())
    }

    /// Gives back what is more than so many bytes.
    pub fn shrink_to(&mut self, bytes: usize) {
        let less = self.bytes.saturating_sub(bytes);
        if less > 0 {
            self.budget.held.dec_by(less as i64);
            self.budget.left.fetch_add(less, Ordering::AcqRel);
            self.bytes -= less;
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_given_back() {
        let held = Gauge::default();
        let budget = Budget::new(100, held.clone());
        let mut one = Share::of(&budget);
        let mut other = Share::of(&budget);
        assert_eq!(one.grow_to(60), Ok(()));
        assert_eq!(one.grow_to(40), Ok(()));
        assert_eq!(other.grow_to(41), Err(Full));
        assert_eq!(other.grow_to(40), Ok(()));
        assert_eq!(one.grow_to(61), Err(Full));
        assert_eq!(held.get(), 100);
        drop(other);
        assert_eq!(one.grow_to(100), Ok(()));
        one.shrink_to(200);
        one.shrink_to(30);
        assert_eq!(held.get(), 30);
        drop(one);
        assert_eq!(held.get(), 0);
        assert_eq!(Share::of(&budget).grow_to(100), Ok(()));
    }

    #[test]
    fn half_is_left_to_those_who_need_little() {
        let budget = Budget::new(100, Gauge::default());
        let mut large = Share::of(&budget);
        assert_eq!(large.grow_within_half_to(51), Err(Full));
        assert_eq!(large.grow_within_half_to(50), Ok(()));
        let mut other = Share::of(&budget);
        assert_eq!(other.grow_within_half_to(1), Err(Full));
        assert_eq!(other.grow_to(50), Ok(()));
        assert_eq!(large.grow_within_half_to(50), Ok(()));
    }
}
