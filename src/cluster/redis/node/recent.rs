//! What was written last. A server that dies may not have passed it on, and may have lost its log when it
//! is back.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::ends::Ends;
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
    /// Where those stand that are older.
    pub(super) ends: Ends,
}

impl Recent {
    pub(super) fn push(&mut self, now: Instant, topic: Topic, written: Written) {
        self.bytes += written.bytes();
        self.written.push_back((now, topic, written));
        while let Some((at, topic, first)) = self.written.pop_front_if(|(at, _, _)| {
            self.bytes > MOST_BYTES || now.duration_since(*at) > KEPT_FOR
        }) {
            self.bytes -= first.bytes();
            self.pass_on(&topic, first, at);
        }
    }

    /// It is not written again.
    pub(super) fn pass_on(&mut self, topic: &Topic, written: Written, at: Instant) {
        if let Some(place) = written.place {
            self.ends.note(topic, place, at);
        }
    }

    /// Redis has forgotten something.
    pub(super) fn note_forgotten(&mut self) {
        self.ends.must_be_handed_in = true;
        for (at, topic, written) in &self.written {
            if let Some(place) = &written.place {
                self.ends.note(topic, place.clone(), *at);
            }
        }
    }

    /// Takes out all that is recent enough.
    pub(super) fn take(&mut self, now: Instant) -> Vec<(Instant, Topic, Written)> {
        self.bytes = 0;
        let is_old = |at: &Instant| now.duration_since(*at) > KEPT_FOR;
        while let Some((at, topic, first)) = self.written.pop_front_if(|(at, _, _)| is_old(at)) {
            self.pass_on(&topic, first, at);
        }
        std::mem::take(&mut self.written).into()
    }
}
