//! What was written last. A server that dies may not have passed it on, and may have lost its log when it
//! is back.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::cluster::redis::keys::Topic;
use crate::cluster::redis::outgoing::Written;

/// How long a server may take to pass on what it has acknowledged.
const KEPT_FOR: Duration = Duration::from_millis(500);
const MOST_BYTES: usize = 1 << 20;

/// Entries of the last moments, in the order in which they were written.
#[derive(Debug, Default)]
pub(super) struct Recent {
    written: VecDeque<(Instant, Topic, Written)>,
    bytes: usize,
}

impl Recent {
    pub(super) fn push(&mut self, now: Instant, topic: Topic, written: Written) {
        self.bytes += written.bytes();
        self.written.push_back((now, topic, written));
        while let Some((at, _, first)) = self.written.front()
            && (self.bytes > MOST_BYTES || now.duration_since(*at) > KEPT_FOR)
        {
            self.bytes -= first.bytes();
            self.written.pop_front();
        }
    }

    /// Takes out all that is recent enough.
    pub(super) fn take(&mut self, now: Instant) -> impl Iterator<Item = (Topic, Written)> {
        self.bytes = 0;
        let written = std::mem::take(&mut self.written).into_iter();
        let is_recent = move |at: &Instant| now.duration_since(*at) <= KEPT_FOR;
        written
            .filter(move |(at, _, _)| is_recent(at))
            .map(|(_, topic, written)| (topic, written))
    }
}
