//! A write that the peer does not take.

use std::time::Duration;

use tokio::time::Instant;

/// Bytes a second that a peer must take, on average, while answers wait for it.
const SLOWEST: u64 = 1024;

/// How it goes with what waits to be written.
#[derive(Clone, Copy, Debug)]
pub struct Blocked {
    since: Instant,
    progress: Instant,
    taken: u64,
    /// Whether the last attempt came to nothing.
    pub is_full: bool,
}

impl Blocked {
    /// The first attempt came to nothing.
    pub fn new(now: Instant) -> Self {
        Self {
            since: now,
            progress: now,
            taken: 0,
            is_full: true,
        }
    }

    /// The peer took so many bytes.
    pub fn took(&mut self, bytes: usize, now: Instant) {
        self.is_full = false;
        self.progress = now;
        self.taken += bytes as u64;
    }

    /// Nothing must be taken for too long, and what is taken must be worth the wait.
    pub fn due(&self, patience: Duration) -> Instant {
        let earned = Duration::from_secs(self.taken / SLOWEST);
        (self.progress + patience).min(self.since + patience + earned)
    }
}
