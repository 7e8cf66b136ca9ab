//! How much may wait for other nodes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use crate::metrics::Gauge;

/// The bytes of events that wait for other nodes, and how many may.
#[derive(Debug)]
pub struct Backlog {
    bytes: AtomicUsize,
    most: usize,
    gauge: Gauge,
}

/// Room in the backlog, for as long as this or a clone of it lives. The default takes none.
#[derive(Clone, Debug, Default)]
pub struct Admission {
    admitted: Option<Arc<Admitted>>,
}

#[derive(Debug)]
struct Admitted {
    backlog: Arc<Backlog>,
    bytes: usize,
    /// Turns that were given out, and those that have passed.
    turns: AtomicU32,
    passed: AtomicU32,
}

/// The place of one event among those that were admitted together: they go to the other nodes in this order,
/// whatever their channels. It has the event's room in the backlog, and has passed at the latest when it is
/// dropped.
#[derive(Debug, Default)]
pub struct Rank {
    admission: Admission,
    number: u32,
}

impl Admission {
    /// The next turn.
    pub fn rank(&self) -> Rank {
        let admitted = self.admitted.as_ref();
        Rank {
            number: admitted.map_or(0, |admitted| admitted.turns.fetch_add(1, Ordering::Relaxed)),
            admission: self.clone(),
        }
    }
}

impl Rank {
    /// Whether all turns before it have passed.
    pub fn has_come(&self) -> bool {
        let admitted = self.admission.admitted.as_ref();
        admitted.is_none_or(|admitted| self.number <= admitted.passed.load(Ordering::Relaxed))
    }

    /// Lets the turns behind it pass.
    pub fn pass(&self) {
        if let Some(admitted) = &self.admission.admitted {
            admitted
                .passed
                .fetch_max(self.number + 1, Ordering::Relaxed);
        }
    }
}

impl Drop for Rank {
    fn drop(&mut self) {
        self.pass();
    }
}

impl Backlog {
    /// Nothing waits yet, and at most so many bytes may. `gauge` shows how many do.
    pub fn new(most: usize, gauge: Gauge) -> Self {
        Self {
            bytes: AtomicUsize::new(0),
            most,
            gauge,
        }
    }

    /// Takes room. One event larger than the whole backlog is admitted while nothing else waits.
    pub fn admit(self: &Arc<Self>, bytes: usize) -> Option<Admission> {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before > 0 && before.saturating_add(bytes) > self.most {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            return None;
        }
        self.gauge.inc_by(bytes as i64);
        let admitted = Admitted {
            backlog: Arc::clone(self),
            bytes,
            turns: AtomicU32::new(0),
            passed: AtomicU32::new(0),
        };
        Some(Admission {
            admitted: Some(Arc::new(admitted)),
        })
    }

    /// The bytes that wait.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.backlog.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.backlog.gauge.dec_by(self.bytes as i64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_bytes_wait_than_may() {
        let backlog = Arc::new(Backlog::new(100, Gauge::default()));
        let first = backlog.admit(60).unwrap();
        assert!(backlog.admit(41).is_none());
        let second = backlog.admit(40).unwrap();
        let copy = first.clone();
        drop(first);
        assert_eq!(backlog.bytes(), 100);
        drop(second);
        assert_eq!(backlog.bytes(), 60);
        drop(copy);
        assert_eq!(backlog.bytes(), 0);
    }

    #[test]
    fn turns_come_one_after_the_other_and_dropping_one_lets_the_next_pass() {
        let backlog = Arc::new(Backlog::new(100, Gauge::default()));
        let admission = backlog.admit(1).unwrap();
        let [first, second, third] = [admission.rank(), admission.rank(), admission.rank()];
        assert!(first.has_come() && !second.has_come() && !third.has_come());
        first.pass();
        assert!(second.has_come() && !third.has_come());
        drop(second);
        assert!(third.has_come());
        let alone = backlog.admit(1).unwrap().rank();
        assert!(alone.has_come() && Rank::default().has_come());
    }

    #[test]
    fn an_event_larger_than_the_backlog_goes_alone() {
        let backlog = Arc::new(Backlog::new(10, Gauge::default()));
        let large = backlog.admit(50).unwrap();
        assert!(backlog.admit(1).is_none());
        drop(large);
        assert!(backlog.admit(1).is_some());
    }
}
