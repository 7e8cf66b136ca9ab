//! What waits for a server, in lanes: nothing small waits behind something large.

use std::collections::VecDeque;
use std::time::Duration;

use super::jobs::{Job, Lane};

/// The lanes of one server.
#[derive(Default)]
pub(super) struct Lanes {
    lanes: [Queue; 3],
    /// How much is asked for at once where answers may be large.
    pub(super) pace: Pace,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    is_busy: bool,
}

impl Lanes {
    pub(super) fn queue(&mut self, lane: Lane) -> &mut VecDeque<Job> {
        &mut self.lanes[lane as usize].jobs
    }

    /// Whether a batch can be made of what waits.
    pub(super) fn is_free(&self, lane: Lane) -> bool {
        let queue = &self.lanes[lane as usize];
        !queue.is_busy && !queue.jobs.is_empty()
    }

    pub(super) fn len(&self, lane: Lane) -> usize {
        self.lanes[lane as usize].jobs.len()
    }

    pub(super) fn set_busy(&mut self, lane: Lane, is_busy: bool) {
        self.lanes[lane as usize].is_busy = is_busy;
    }

    /// Takes out all that waits.
    pub(super) fn take(&mut self) -> Vec<Job> {
        let queues = self.lanes.iter_mut();
        queues.flat_map(|queue| queue.jobs.drain(..)).collect()
    }

    /// Begins anew with a connection that was just made.
    pub(super) fn restart(&mut self) {
        for queue in &mut self.lanes {
            queue.is_busy = false;
        }
        self.pace = Pace::default();
    }
}

/// How much is asked for at once where answers may be large: so much that they come soon, however
/// slow the way is.
#[derive(Debug)]
pub(super) struct Pace {
    bytes: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { bytes: 256 << 10 }
    }
}

impl Pace {
    const LEAST: usize = 64 << 10;
    const MOST: usize = 512 << 10;
    /// What a channel is asked for is not less, lest it need too many calls.
    const LEAST_PAGE: usize = 16 << 10;
    const QUICK: Duration = Duration::from_millis(50);
    const SLOW: Duration = Duration::from_millis(400);

    /// Of so many channels that wait, how many to ask for at once, and for how many bytes each.
    pub(super) fn share(&self, waiting: usize) -> (usize, usize) {
        let channels = waiting.clamp(1, self.bytes / Self::LEAST_PAGE);
        (channels, self.bytes / channels)
    }

    /// What was asked for took so long.
    pub(super) fn took(&mut self, time: Duration) {
        if time > Self::SLOW {
            self.bytes = (self.bytes / 2).max(Self::LEAST);
        } else if time < Self::QUICK {
            self.bytes = (self.bytes * 2).min(Self::MOST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_adapts_to_the_way_and_is_shared_by_all_who_wait() {
        let mut pace = Pace::default();
        assert_eq!(pace.share(1), (1, 256 << 10));
        assert_eq!(pace.share(4), (4, 64 << 10));
        assert_eq!(pace.share(1000), (16, 16 << 10));
        for _ in 0..10 {
            pace.took(Duration::from_millis(1));
        }
        assert_eq!(pace.share(1000), (32, 16 << 10));
        pace.took(Duration::from_millis(200));
        assert_eq!(pace.share(1), (1, 512 << 10));
        for _ in 0..10 {
            pace.took(Duration::from_secs(3));
        }
        assert_eq!(pace.share(1000), (4, 16 << 10));
        assert_eq!(pace.share(1), (1, 64 << 10));
    }
}
