//! A ceiling for the memory of the process.

use std::sync::atomic::{AtomicBool, Ordering};

/// One in so many of the ceiling must be free again before it counts as free: memory is given back in
/// large pieces, and those who were refused come back at once.
const FREE_AGAIN: u64 = 20;

/// Says whether the process has used up its memory.
#[derive(Debug, Default)]
pub struct Ceiling {
    /// None: there is none.
    bytes: Option<u64>,
    is_reached: AtomicBool,
}

impl Ceiling {
    /// So many bytes, not reached yet.
    pub fn new(bytes: Option<u64>) -> Self {
        Self {
            bytes,
            is_reached: AtomicBool::new(false),
        }
    }

    /// The bytes, if there is a ceiling.
    pub fn bytes(&self) -> Option<u64> {
        self.bytes
    }

    /// Whether it was reached, and the process has not become clearly smaller since.
    pub fn is_reached(&self) -> bool {
        self.is_reached.load(Ordering::Relaxed)
    }

    /// The process has so many bytes. Returns whether that has changed what [`Ceiling::is_reached`]
    /// says.
    pub fn look(&self, bytes: u64) -> bool {
        let Some(ceiling) = self.bytes else {
            return false;
        };
        let was_reached = self.is_reached();
        let is_reached = if was_reached {
            bytes > ceiling - ceiling / FREE_AGAIN
        } else {
            bytes >= ceiling
        };
        self.is_reached.store(is_reached, Ordering::Relaxed);
        was_reached != is_reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_reached_at_once_and_free_when_some_is_free() {
        let ceiling = Ceiling::new(Some(1000));
        for (bytes, changes, is_reached) in [
            (999, false, false),
            (1000, true, true),
            (999, false, true),
            (951, false, true),
            (950, true, false),
            (999, false, false),
            (2000, true, true),
        ] {
            assert_eq!(ceiling.look(bytes), changes, "{bytes}");
            assert_eq!(ceiling.is_reached(), is_reached, "{bytes}");
        }
    }

    #[test]
    fn without_one_nothing_is_reached() {
        let ceiling = Ceiling::default();
        assert!(!ceiling.look(u64::MAX) && !ceiling.is_reached());
    }
}
