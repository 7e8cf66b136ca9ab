//! The ledger of what was published and what each subscriber got of it.

use crate::net::Net;
use crate::pusher::Mark;
use crate::report::{Latency, Report, new_latency};

/// The sequence numbers one subscriber has received, as sorted disjoint ranges. While
/// nothing is lost or reordered that is a single range, extended in place.
#[derive(Default, Clone)]
pub(crate) struct Seen {
    ranges: Vec<(u64, u64)>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    InOrder,
    /// After the given later one.
    Late {
        newest: u64,
    },
    Duplicate,
}

impl Seen {
    pub(crate) fn insert(&mut self, seq: u64) -> Arrival {
        match self.ranges.last_mut() {
            Some((_, end)) if *end == seq => {
                *end += 1;
                return Arrival::InOrder;
            }
            Some((_, end)) if *end > seq => {}
            _ => {
                self.ranges.push((seq, seq + 1));
                return Arrival::InOrder;
            }
        }
        let newest = self.ranges.last().expect("not empty here").1 - 1;
        // The first range that ends at or after seq.
        let at = self.ranges.partition_point(|&(_, end)| end < seq);
        let (start, end) = self.ranges[at];
        if (start..end).contains(&seq) {
            return Arrival::Duplicate;
        }
        if end == seq {
            self.ranges[at].1 += 1;
            if self
                .ranges
                .get(at + 1)
                .is_some_and(|next| next.0 == seq + 1)
            {
                self.ranges[at].1 = self.ranges.remove(at + 1).1;
            }
        } else if start == seq + 1 {
            self.ranges[at].0 = seq;
        } else {
            self.ranges.insert(at, (seq, seq + 1));
        }
        Arrival::Late { newest }
    }

    pub(crate) fn len(&self) -> u64 {
        self.ranges.iter().map(|(start, end)| end - start).sum()
    }

    pub(crate) fn contains(&self, seq: u64) -> bool {
        let at = self.ranges.partition_point(|&(_, end)| end <= seq);
        self.ranges.get(at).is_some_and(|&(start, _)| start <= seq)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Unanswered,
    /// Answered 200 at this time.
    Accepted(u64),
    Refused,
}

struct Event {
    /// When the schedule wanted it; in a closed loop the same as `sent_at`.
    due_at: u64,
    sent_at: u64,
    fate: Fate,
    /// Deliveries still to come; 0 also once given up.
    remaining: u32,
}

#[derive(Default)]
struct Channel {
    events: Vec<Event>,
    subscribers: u32,
}

struct Subscriber {
    channel: u32,
    /// Stalled subscribers are outside the ledger.
    counted: bool,
    seen: Seen,
}

pub(crate) struct Ledger {
    /// Marks from before this belong to a warm-up.
    opened_at: u64,
    channels: Vec<Channel>,
    subscribers: Vec<Subscriber>,
    pub(crate) latency: Latency,
    /// The same from when the publish was due: includes waiting for a free publisher.
    pub(crate) latency_from_schedule: Latency,
    pub(crate) received: u64,
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    duplicates: u64,
    /// Overtaken by an event whose publish began only after this one was answered.
    out_of_order: u64,
    /// Overtaken by an event that was being published at the same time.
    reordered_concurrent: u64,
    misrouted: u64,
    pub(crate) malformed: u64,
    pub(crate) compared_in_full: u64,
    /// Events not delivered everywhere yet (and not given up).
    pub(crate) incomplete: u64,
}

/// What became of all deliveries of one or more ledgers.
#[derive(Clone, Copy, Default)]
pub(crate) struct Deliveries {
    expected: u64,
    pub(crate) received: u64,
    pub(crate) lost: u64,
    duplicated: u64,
    out_of_order: u64,
    reordered_concurrent: u64,
    misrouted: u64,
    compared_in_full: u64,
    malformed: u64,
    /// Publishes.
    pub(crate) refused: u64,
}

impl std::ops::AddAssign for Deliveries {
    fn add_assign(&mut self, other: Self) {
        self.expected += other.expected;
        self.received += other.received;
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.out_of_order += other.out_of_order;
        self.reordered_concurrent += other.reordered_concurrent;
        self.misrouted += other.misrouted;
        self.compared_in_full += other.compared_in_full;
        self.malformed += other.malformed;
        self.refused += other.refused;
    }
}

impl Deliveries {
    pub(crate) fn report(&self, report: &mut Report) {
        report.set(
            "deliveries",
            serde_json::json!({
                "expected": self.expected,
                "received": self.received,
                "lost": self.lost,
                "duplicated": self.duplicated,
                "out_of_order": self.out_of_order,
                "reordered_concurrent": self.reordered_concurrent,
                "misrouted": self.misrouted,
                "compared_in_full": self.compared_in_full,
                "malformed": self.malformed,
            }),
        );
        report.problem_count(self.lost, "deliveries LOST");
        report.problem_count(self.duplicated, "deliveries DUPLICATED");
        report.problem_count(self.out_of_order, "deliveries OUT OF ORDER");
        report.problem_count(
            self.misrouted,
            "deliveries to the wrong subscriber, or altered marks",
        );
        report.problem_count(
            self.malformed,
            "delivered frames that differ from what was published",
        );
        report.problem_count(self.refused, "publishes refused or unanswered");
    }
}

impl Ledger {
    /// `channel_of[conn]` is the channel a connection subscribes to; None leaves it out.
    pub(crate) fn new(channels: usize, channel_of: &[Option<u32>], opened_at: u64) -> Self {
        let mut ledger = Self {
            opened_at,
            channels: (0..channels).map(|_| Channel::default()).collect(),
            subscribers: Vec::with_capacity(channel_of.len()),
            latency: new_latency(),
            latency_from_schedule: new_latency(),
            received: 0,
            accepted: 0,
            refused: 0,
            duplicates: 0,
            out_of_order: 0,
            reordered_concurrent: 0,
            misrouted: 0,
            malformed: 0,
            compared_in_full: 0,
            incomplete: 0,
        };
        for channel in channel_of {
            if let Some(channel) = channel {
                ledger.channels[*channel as usize].subscribers += 1;
            }
            ledger.subscribers.push(Subscriber {
                channel: channel.unwrap_or(u32::MAX),
                counted: channel.is_some(),
                seen: Seen::default(),
            });
        }
        ledger
    }

    /// Enters a publish that starts now and returns its mark.
    pub(crate) fn publish(&mut self, channel: u32, due_at: u64, now: u64) -> Mark {
        let log = &mut self.channels[channel as usize];
        let seq = log.events.len() as u64;
        let remaining = log.subscribers;
        log.events.push(Event {
            due_at,
            sent_at: now,
            fate: Fate::Unanswered,
            remaining,
        });
        self.incomplete += u64::from(remaining > 0);
        Mark {
            channel,
            seq,
            sent_at: now,
        }
    }

    pub(crate) fn sent_at(&self, channel: u32, seq: u64) -> u64 {
        self.channels[channel as usize].events[seq as usize].sent_at
    }

    pub(crate) fn answered(&mut self, channel: u32, seq: u64, accepted: bool, now: u64) {
        let event = &mut self.channels[channel as usize].events[seq as usize];
        if accepted {
            self.accepted += 1;
            event.fate = Fate::Accepted(now);
        } else {
            self.refused += 1;
            event.fate = Fate::Refused;
            self.incomplete -= u64::from(event.remaining > 0);
            event.remaining = 0;
        }
    }

    /// Stops waiting for everything still missing, so that a closed loop can go on.
    pub(crate) fn give_up(&mut self) {
        for channel in &mut self.channels {
            channel
                .events
                .iter_mut()
                .for_each(|event| event.remaining = 0);
        }
        self.incomplete = 0;
    }

    pub(crate) fn delivered(&mut self, conn: usize, mark: Mark, now: u64) {
        let subscriber = &mut self.subscribers[conn];
        if !subscriber.counted || mark.sent_at < self.opened_at {
            return;
        }
        let channel = self.channels.get(mark.channel as usize);
        let event = channel.and_then(|channel| channel.events.get(mark.seq as usize));
        let Some(event) =
            event.filter(|e| subscriber.channel == mark.channel && e.sent_at == mark.sent_at)
        else {
            self.misrouted += 1;
            return;
        };
        match subscriber.seen.insert(mark.seq) {
            Arrival::Duplicate => {
                self.duplicates += 1;
                return;
            }
            Arrival::InOrder => {}
            Arrival::Late { newest } => {
                let fate = event.fate;
                let newest = &self.channels[mark.channel as usize].events[newest as usize];
                match fate {
                    Fate::Accepted(at) if at <= newest.sent_at => self.out_of_order += 1,
                    _ => self.reordered_concurrent += 1,
                }
            }
        }
        self.received += 1;
        self.latency
            .saturating_record(now.saturating_sub(mark.sent_at));
        let event = &mut self.channels[mark.channel as usize].events[mark.seq as usize];
        self.latency_from_schedule
            .saturating_record(now.saturating_sub(event.due_at));
        if event.remaining > 0 {
            event.remaining -= 1;
            self.incomplete -= u64::from(event.remaining == 0);
        }
    }

    /// Only events that the server answered with 200 are expected by the subscribers.
    pub(crate) fn deliveries(&self) -> Deliveries {
        let mut totals = Deliveries {
            received: self.received,
            duplicated: self.duplicates,
            out_of_order: self.out_of_order,
            reordered_concurrent: self.reordered_concurrent,
            misrouted: self.misrouted,
            compared_in_full: self.compared_in_full,
            malformed: self.malformed,
            refused: self.refused,
            ..Deliveries::default()
        };
        for subscriber in self.subscribers.iter().filter(|s| s.counted) {
            let events = &self.channels[subscriber.channel as usize].events;
            let expected = events
                .iter()
                .filter(|e| matches!(e.fate, Fate::Accepted(_)))
                .count();
            totals.expected += expected as u64;
            if subscriber.seen.len() == events.len() as u64 {
                continue;
            }
            let missing = events.iter().enumerate().filter(|(seq, event)| {
                matches!(event.fate, Fate::Accepted(_)) && !subscriber.seen.contains(*seq as u64)
            });
            totals.lost += missing.count() as u64;
        }
        totals
    }
}

/// True when a delivered frame is what the protocol says for this event.
pub(crate) fn intact(text: &[u8], event: &str, channel: &str, data: &str) -> bool {
    let Ok(message) = serde_json::from_slice::<serde_json::Value>(text) else {
        return false;
    };
    message["event"] == event && message["channel"] == channel && message["data"] == data
}

/// Connection and protocol trouble common to every scenario.
pub(crate) fn report_connections(net: &Net, report: &mut Report) {
    let counters = &net.counters;
    report.set("pings_answered", counters.pings_answered);
    report.set("http_connects", counters.http_connects);
    for (reason, count) in &counters.ws_closed {
        report.problem(format!(
            "{count} connections closed by the server: {reason}"
        ));
    }
    for (error, count) in &counters.protocol_errors {
        report.problem(format!("{count} protocol errors: {error}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_are_classified_and_merged() {
        let mut seen = Seen::default();
        assert_eq!(seen.insert(0), Arrival::InOrder);
        assert_eq!(seen.insert(1), Arrival::InOrder);
        assert_eq!(seen.insert(4), Arrival::InOrder);
        assert_eq!(seen.insert(2), Arrival::Late { newest: 4 });
        assert_eq!(seen.insert(2), Arrival::Duplicate);
        assert_eq!(seen.insert(6), Arrival::InOrder);
        assert_eq!(seen.insert(3), Arrival::Late { newest: 6 });
        assert_eq!(seen.insert(5), Arrival::Late { newest: 6 });
        assert_eq!(seen.ranges, vec![(0, 7)]);
        assert_eq!(seen.insert(0), Arrival::Duplicate);
        assert!(seen.contains(6) && !seen.contains(7) && seen.len() == 7);
    }

    #[test]
    fn arrivals_agree_with_a_plain_set() {
        let mut state = 12345u64;
        for _ in 0..200 {
            let (mut seen, mut plain) = (Seen::default(), std::collections::BTreeSet::new());
            for _ in 0..60 {
                state = state
                    .wrapping_mul(6364136223846793005)
                    .wrapping_add(1442695040888963407);
                let seq = (state >> 33) % 40;
                let newest = plain.last().copied();
                let expected = match newest {
                    _ if !plain.insert(seq) => Arrival::Duplicate,
                    Some(newest) if newest > seq => Arrival::Late { newest },
                    _ => Arrival::InOrder,
                };
                assert_eq!(seen.insert(seq), expected);
                assert_eq!(seen.len(), plain.len() as u64);
                assert!((0..41).all(|s| seen.contains(s) == plain.contains(&s)));
            }
        }
    }

    #[test]
    fn a_loss_is_counted_and_a_refused_publish_is_not_expected() {
        let mut ledger = Ledger::new(1, &[Some(0), Some(0), None], 0);
        let marks: Vec<Mark> = (0..3)
            .map(|now| ledger.publish(0, 100 + now, 100 + now))
            .collect();
        ledger.answered(0, 0, true, 200);
        ledger.answered(0, 1, true, 200);
        ledger.answered(0, 2, false, 200);
        ledger.delivered(0, marks[0], 300);
        ledger.delivered(0, marks[1], 300);
        ledger.delivered(1, marks[1], 300);
        ledger.delivered(2, marks[1], 300);
        let totals = ledger.deliveries();
        assert_eq!((totals.expected, totals.lost, ledger.received), (4, 1, 3));
        assert_eq!(ledger.incomplete, 1);
    }
}
