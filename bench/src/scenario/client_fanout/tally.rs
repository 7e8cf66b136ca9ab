//! Who sent how much, and what every client got of it.

use serde_json::json;

use crate::deliveries::{Arrival, Seen};
use crate::pusher::Mark;
use crate::report::{Latency, Report, new_latency};

/// Events of the clients and, as one sender more, of the publisher. Each is expected by all clients
/// but its sender. The channel number of a mark is the sender's.
pub(super) struct Tally {
    /// Marks from before this belong to a warm-up.
    opened_at: u64,
    clients: usize,
    /// By sender: when each of its events was sent.
    sent_at: Vec<Vec<u64>>,
    /// `seen[client * senders + sender]`.
    seen: Vec<Seen>,
    /// Deliveries expected so far.
    expected: u64,
    pub(super) received: u64,
    duplicated: u64,
    /// Behind a later event of the same sender.
    out_of_order: u64,
    misrouted: u64,
    pub(super) malformed: u64,
    pub(super) compared_in_full: u64,
    /// Of clients' events.
    pub(super) latency: Latency,
    /// Of those that were published over HTTP.
    pub(super) publish_latency: Latency,
}

impl Tally {
    pub(super) fn new(clients: usize, opened_at: u64) -> Self {
        let senders = clients + 1;
        Self {
            opened_at,
            clients,
            sent_at: vec![Vec::new(); senders],
            seen: vec![Seen::default(); clients * senders],
            expected: 0,
            received: 0,
            duplicated: 0,
            out_of_order: 0,
            misrouted: 0,
            malformed: 0,
            compared_in_full: 0,
            latency: new_latency(),
            publish_latency: new_latency(),
        }
    }

    /// The sender that is no client.
    pub(super) fn publisher(&self) -> usize {
        self.clients
    }

    /// Clients other than the sender.
    fn others(&self, sender: usize) -> u64 {
        (self.clients - usize::from(sender != self.publisher())) as u64
    }

    /// Enters an event that is sent now, and returns its mark.
    pub(super) fn send(&mut self, sender: usize, now: u64) -> Mark {
        self.expected += self.others(sender);
        self.sent_at[sender].push(now);
        Mark {
            channel: sender as u32,
            seq: self.sent_at[sender].len() as u64 - 1,
            sent_at: now,
        }
    }

    /// A publish was refused: nobody expects it.
    pub(super) fn refused(&mut self) {
        self.expected -= self.others(self.publisher());
    }

    pub(super) fn delivered(&mut self, client: usize, mark: Mark, now: u64) {
        if mark.sent_at < self.opened_at {
            return;
        }
        let sender = mark.channel as usize;
        let sent_at = self.sent_at.get(sender);
        let sent_at = sent_at.and_then(|events| events.get(mark.seq as usize));
        if sender == client || sent_at != Some(&mark.sent_at) {
            self.misrouted += 1;
            return;
        }
        match self.seen[client * self.sent_at.len() + sender].insert(mark.seq) {
            Arrival::Duplicate => {
                self.duplicated += 1;
                return;
            }
            Arrival::Late { .. } => self.out_of_order += 1,
            Arrival::InOrder => {}
        }
        self.received += 1;
        let latency = if sender == self.publisher() {
            &mut self.publish_latency
        } else {
            &mut self.latency
        };
        latency.saturating_record(now.saturating_sub(mark.sent_at));
    }

    pub(super) fn missing(&self) -> u64 {
        self.expected.saturating_sub(self.received)
    }

    /// Events that clients sent.
    pub(super) fn client_events(&self) -> u64 {
        let of_clients = &self.sent_at[..self.clients];
        of_clients.iter().map(|events| events.len() as u64).sum()
    }

    pub(super) fn report(&self, report: &mut Report) {
        report.set(
            "deliveries",
            json!({
                "expected": self.expected,
                "received": self.received,
                "lost": self.missing(),
                "duplicated": self.duplicated,
                "out_of_order": self.out_of_order,
                "misrouted": self.misrouted,
                "compared_in_full": self.compared_in_full,
                "malformed": self.malformed,
            }),
        );
        report.problem_count(self.missing(), "deliveries LOST");
        report.problem_count(self.duplicated, "deliveries DUPLICATED");
        report.problem_count(self.out_of_order, "deliveries OUT OF ORDER");
        report.problem_count(
            self.misrouted,
            "deliveries to the sender itself, or altered marks",
        );
        report.problem_count(
            self.malformed,
            "delivered frames that differ from what was sent",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_expected_by_all_but_its_sender() {
        let mut tally = Tally::new(3, 0);
        let of_client = tally.send(0, 10);
        let published = tally.send(tally.publisher(), 11);
        assert_eq!((tally.missing(), tally.client_events()), (5, 1));
        for client in [1, 2] {
            tally.delivered(client, of_client, 20);
        }
        for client in 0..3 {
            tally.delivered(client, published, 20);
        }
        assert_eq!((tally.missing(), tally.received), (0, 5));
        assert_eq!((tally.latency.len(), tally.publish_latency.len()), (2, 3));
        tally.delivered(0, of_client, 21);
        tally.delivered(1, of_client, 21);
        assert_eq!((tally.misrouted, tally.duplicated), (1, 1));
    }

    #[test]
    fn order_is_that_of_one_sender() {
        let mut tally = Tally::new(3, 0);
        let (first, second) = (tally.send(0, 10), tally.send(0, 11));
        let other = tally.send(1, 12);
        for mark in [other, second, first] {
            tally.delivered(2, mark, 20);
        }
        assert_eq!((tally.received, tally.out_of_order), (3, 1));
    }

    #[test]
    fn what_was_refused_or_sent_before_does_not_count() {
        let mut tally = Tally::new(2, 5);
        tally.send(tally.publisher(), 10);
        assert_eq!(tally.missing(), 2);
        tally.refused();
        let of_warmup = Mark {
            channel: 0,
            seq: 0,
            sent_at: 4,
        };
        tally.delivered(1, of_warmup, 11);
        assert_eq!(
            (tally.missing(), tally.misrouted, tally.received),
            (0, 0, 0)
        );
    }
}
