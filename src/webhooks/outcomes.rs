//! What became of the requests to one webhook, for whoever looks: how many events it has taken, and the last failures.
//! It is written when a request has ended, by the thread that sends, and takes little memory however much fails.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;

use super::event::Event;
use super::notice;
use super::post::Outcome;
use crate::apps::WebhookEvents;

/// Failures that are kept of one webhook.
const MOST_FAILURES: usize = 20;

/// A request that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// When that was known.
    pub at: SystemTime,
    /// Which events there were in it.
    pub kinds: WebhookEvents,
    /// How many there were.
    pub events: usize,
    /// How often they had been sent, that time included.
    pub attempt: u32,
    /// What the endpoint answered, if it did.
    pub status: Option<u16>,
    /// What was wrong, in a few words without a secret.
    pub reason: String,
    /// When they are tried again; None: they were given up.
    pub retry_at: Option<SystemTime>,
}

/// What became of the requests so far.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Events that it has taken.
    pub sent: u64,
    /// Requests that failed.
    pub failed: u64,
    /// When it last took something.
    pub last_taken: Option<SystemTime>,
    /// The last failures, the newest first.
    pub failures: VecDeque<Failure>,
}

/// What became of the requests to one webhook.
#[derive(Debug, Default)]
pub(super) struct Outcomes(Mutex<Tally>);

impl Outcomes {
    /// The webhook has taken so many events.
    pub(super) fn taken(&self, events: usize) {
        let mut tally = self.0.lock();
        tally.sent += events as u64;
        tally.last_taken = Some(SystemTime::now());
    }

    /// The webhook has not taken these, which were sent for the `attempt`th time; they are sent again after the delay,
    /// or, without one, never.
    pub(super) fn failed(
        &self,
        events: &[Event],
        attempt: u32,
        outcome: &Outcome,
        delay: Option<Duration>,
    ) {
        let now = SystemTime::now();
        let failure = Failure {
            at: now,
            kinds: events
                .iter()
                .filter_map(|event| notice::event_in(&event.json))
                .collect(),
            events: events.len(),
            attempt,
            status: match outcome {
                Outcome::Refused(status) => Some(status.as_u16()),
                _ => None,
            },
            reason: outcome.to_string(),
            retry_at: delay.map(|delay| now + delay),
        };
        let mut tally = self.0.lock();
        tally.failed += 1;
        tally.failures.truncate(MOST_FAILURES - 1);
        tally.failures.push_front(failure);
    }

    /// What became of them so far.
    pub(super) fn tally(&self) -> Tally {
        self.0.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::Numbers;
    use super::super::notice::Notice;
    use super::*;
    use crate::apps::WebhookEvent;
    use crate::protocol::ChannelName;

    #[test]
    fn the_last_failures_are_kept_and_no_more() {
        let (outcomes, numbers) = (Outcomes::default(), Numbers::new());
        let channel = ChannelName::parse("a", 164).unwrap();
        let events = [WebhookEvent::ChannelOccupied, WebhookEvent::ChannelVacated]
            .map(|event| numbers.event(&channel, Notice::of_channel(event, "a").json));
        outcomes.taken(3);
        for attempt in 1..=100 {
            let delay = (attempt < 100).then_some(Duration::from_secs(1));
            outcomes.failed(&events, attempt, &Outcome::TimedOut, delay);
        }
        let tally = outcomes.tally();
        assert_eq!((tally.sent, tally.failed), (3, 100));
        assert_eq!(tally.failures.len(), MOST_FAILURES);
        let newest = &tally.failures[0];
        assert_eq!(
            (newest.attempt, newest.events, newest.status),
            (100, 2, None)
        );
        assert_eq!(newest.retry_at, None);
        let kinds: Vec<&str> = newest.kinds.names().collect();
        assert_eq!(kinds, ["channel_occupied", "channel_vacated"]);
        let before = &tally.failures[1];
        assert_eq!(before.retry_at, Some(before.at + Duration::from_secs(1)));
    }
}
