//! How much may wait for other nodes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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
    _admitted: Option<Arc<Admitted>>,
}

#[derive(Debug)]
struct Admitted {
    backlog: Arc<Backlog>,
    bytes: usize,
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

    /// Takes room. One event larger than the whole backlog is let in while nothing else waits.
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
        };
        Some(Admission {
            _admitted: Some(Arc::new(admitted)),
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
    fn an_event_larger_than_the_backlog_goes_alone() {
        let backlog = Arc::new(Backlog::new(10, Gauge::default()));
        let large = backlog.admit(50).unwrap();
        assert!(backlog.admit(1).is_none());
        drop(large);
        assert!(backlog.admit(1).is_some());
    }
}
