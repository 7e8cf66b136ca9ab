//! What is logged of messages that are not delivered.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::message::Refusal;

/// The least time between two lines of the log.
const INTERVAL: Duration = Duration::from_secs(60);
/// Characters of a topic's name that are logged.
const TOPIC: usize = 200;

/// Logs the first at once, and then at most one a minute.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    last: Cell<Option<Instant>>,
    /// Since the last line.
    unreported: Cell<u64>,
}

impl Complaints {
    pub(super) fn report(&self, topic: &str, refusal: &Refusal, now: Instant) {
        if let Some(unreported) = self.turn(now) {
            let end = topic.char_indices().nth(TOPIC);
            let topic = end.map_or(topic, |(end, _)| &topic[..end]);
            tracing::warn!(
                topic,
                unreported,
                "a message from Redis is not delivered: {refusal}"
            );
        }
    }

    /// How many were not logged since the last line, if there may be a line now.
    fn turn(&self, now: Instant) -> Option<u64> {
        if self.last.get().is_some_and(|last| now < last + INTERVAL) {
            self.unreported.set(self.unreported.get() + 1);
            return None;
        }
        self.last.set(Some(now));
        Some(self.unreported.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_minute_counts_those_left_out() {
        let (complaints, start) = (Complaints::default(), Instant::now());
        assert_eq!(complaints.turn(start), Some(0));
        let soon = start + INTERVAL - Duration::from_millis(1);
        assert_eq!(
            (complaints.turn(start), complaints.turn(soon)),
            (None, None)
        );
        assert_eq!(complaints.turn(start + INTERVAL), Some(2));
        assert_eq!(complaints.turn(start + 2 * INTERVAL), Some(0));
    }
}
