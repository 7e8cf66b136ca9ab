//! The traffic on the channel: what is sent when, and every delivery of it checked.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Plan;
use super::tally::Tally;
use crate::deliveries::intact;
use crate::net::{Delivery, Handler, Net, Outcome, inner_json};
use crate::pusher::{append_publish, event_data};
use crate::report::{Latency, new_latency};
use crate::scenario::frames::{Content, KnownFrame};
use crate::sys;

const CLIENT_EVENT: &str = "client-bench";
const EVENT: &str = "bench-event";
/// After the last event, how long without a delivery until the missing count as lost.
const DRAIN_QUIET_NS: u64 = 2_000_000_000;

/// Something that is to be done again and again.
#[derive(Clone, Copy)]
pub(super) struct Every {
    interval_ns: u64,
    /// Beyond all time: never.
    next_due: u64,
    done: u64,
}

impl Every {
    /// So many times a second from `start`; 0: never.
    fn new(per_second: f64, start: u64) -> Self {
        let never = per_second <= 0.0;
        Self {
            interval_ns: if never { 0 } else { (1e9 / per_second) as u64 },
            next_due: if never { u64::MAX } else { start },
            done: 0,
        }
    }

    /// The number of the next one, and when it was due, if that has come.
    fn take(&mut self, now: u64) -> Option<(u64, u64)> {
        if self.next_due > now {
            return None;
        }
        let taken = (self.done, self.next_due);
        self.done += 1;
        self.next_due += self.interval_ns;
        Some(taken)
    }

    /// How many are still to be done before `end`.
    fn left_until(&self, end: u64) -> u64 {
        match self.interval_ns {
            0 => 0,
            interval => end.saturating_sub(self.next_due).div_ceil(interval),
        }
    }
}

pub(super) struct Traffic<'a> {
    plan: &'a Plan,
    pub(super) tally: Tally,
    pub(super) started_at: u64,
    pub(super) last_arrival: u64,
    /// How late each client event was sent against its schedule.
    pub(super) send_lag: Latency,
    /// The same of publishes.
    pub(super) publish_lag: Latency,
    /// Publish start to HTTP answer.
    pub(super) answer: Latency,
    pub(super) accepted: u64,
    pub(super) unanswered: u64,
    pub(super) refusals: BTreeMap<String, u64>,
    /// When each publish was sent, by its tag.
    published_at: Vec<u64>,
    /// Channels that have come.
    pub(super) channels: u64,
    of_client: KnownFrame,
    of_publisher: KnownFrame,
}

impl<'a> Traffic<'a> {
    pub(super) fn new(plan: &'a Plan) -> Self {
        let now = sys::now_ns();
        Self {
            plan,
            tally: Tally::new(plan.clients, now),
            started_at: now,
            last_arrival: now,
            send_lag: new_latency(),
            publish_lag: new_latency(),
            answer: new_latency(),
            accepted: 0,
            unanswered: 0,
            refusals: BTreeMap::new(),
            published_at: Vec::new(),
            channels: 0,
            of_client: KnownFrame::default(),
            of_publisher: KnownFrame::default(),
        }
    }

    /// Sends for `duration_ns`, then waits for what is still on its way. Returns how many
    /// publishes were never sent because the publisher was not free.
    pub(super) fn run(&mut self, net: &mut Net, duration_ns: u64) -> anyhow::Result<u64> {
        let start = sys::now_ns();
        let end = start + duration_ns;
        (self.started_at, self.last_arrival) = (start, start);
        // The clients take turns, evenly over each client's interval.
        let mut events = Every::new(self.plan.rate * self.plan.clients as f64, start);
        let mut publishes = Every::new(self.plan.publish_rate, start);
        // One step for the coming of a channel, one for its going.
        let mut steps = Every::new(self.plan.churn * 2.0, start);
        loop {
            let now = sys::now_ns();
            // What was due before the end is sent, however late it has become.
            let due = now.min(end.saturating_sub(1));
            while let Some((number, due_at)) = events.take(due) {
                self.send(net, number, due_at);
            }
            while net.http_idle() > 0
                && let Some((_, due_at)) = publishes.take(due)
            {
                self.publish(net, due_at)?;
            }
            while let Some((number, _)) = steps.take(due) {
                self.step(net, number);
            }
            let unpublished = publishes.left_until(end);
            if now >= end {
                let done = self.tally.missing() + self.unanswered + unpublished == 0;
                let quiet = now.saturating_sub(self.last_arrival.max(end)) > DRAIN_QUIET_NS;
                if done || quiet {
                    return Ok(unpublished);
                }
            }
            let next_publish = match net.http_idle() {
                0 => u64::MAX,
                _ => publishes.next_due,
            };
            let next = events.next_due.min(steps.next_due).min(next_publish);
            let wait = if now < end {
                next.min(end).saturating_sub(sys::now_ns())
            } else {
                1_000_000
            };
            net.poll(wait, self)?;
        }
    }

    fn send(&mut self, net: &mut Net, number: u64, due_at: u64) {
        let client = (number % self.plan.clients as u64) as usize;
        let now = sys::now_ns();
        self.send_lag.saturating_record(now.saturating_sub(due_at));
        let data = event_data(self.tally.send(client, now), self.plan.payload);
        let channel = &self.plan.channel;
        let message =
            format!(r#"{{"event":"{CLIENT_EVENT}","channel":"{channel}","data":{data}}}"#);
        net.send_text(client, &message);
    }

    fn publish(&mut self, net: &mut Net, due_at: u64) -> anyhow::Result<()> {
        let now = sys::now_ns();
        self.publish_lag
            .saturating_record(now.saturating_sub(due_at));
        let data = event_data(
            self.tally.send(self.tally.publisher(), now),
            self.plan.payload,
        );
        let mut body = String::with_capacity(data.len() + 128);
        append_publish(EVENT, &self.plan.channel, &data, false, &mut body);
        let tag = self.published_at.len() as u64;
        self.published_at.push(now);
        self.unanswered += 1;
        net.post(tag, "/events", &body)
    }

    /// A channel comes (the clients take turns in subscribing), or the same one goes again.
    fn step(&mut self, net: &mut Net, number: u64) {
        let count = number / 2;
        let client = (count % self.plan.clients as u64) as usize;
        let channel = format!("bench-{}-{count}", self.started_at);
        match number % 2 {
            0 => {
                self.channels += 1;
                net.subscribe(client, &channel, None);
            }
            _ => net.unsubscribe(client, &channel),
        }
    }

    fn check_content(&mut self, event: &Delivery<'_>) {
        let (channel, payload) = (&self.plan.channel, self.plan.payload);
        let data = || event_data(event.mark, payload);
        let content = if event.mark.channel as usize == self.tally.publisher() {
            let is_intact = || intact(event.text, EVENT, channel, &data());
            self.of_publisher.check(event, is_intact)
        } else {
            let is_intact = || is_client_event(event.text, channel, &data());
            self.of_client.check(event, is_intact)
        };
        match content {
            Content::AsBefore => {}
            Content::Intact => self.tally.compared_in_full += 1,
            Content::Malformed => self.tally.malformed += 1,
        }
    }
}

/// Clients send their data as JSON; a server may pass it on as it is, or as text.
fn is_client_event(text: &[u8], channel: &str, data: &str) -> bool {
    let Ok(message) = serde_json::from_slice::<Value>(text) else {
        return false;
    };
    message["event"] == CLIENT_EVENT
        && message["channel"] == channel
        && inner_json(&message["data"]) == inner_json(&data.into())
}

impl Handler for Traffic<'_> {
    fn delivery(&mut self, _net: &mut Net, conn: usize, event: Delivery<'_>, now: u64) {
        self.last_arrival = now;
        self.tally.delivered(conn, event.mark, now);
        self.check_content(&event);
    }

    fn response(&mut self, _net: &mut Net, tag: u64, outcome: Outcome<'_>, now: u64) {
        self.unanswered -= 1;
        let sent_at = self.published_at[tag as usize];
        self.answer.saturating_record(now.saturating_sub(sent_at));
        match outcome.refusal() {
            None => self.accepted += 1,
            Some(refusal) => {
                self.tally.refused();
                *self.refusals.entry(refusal).or_default() += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_recurs_is_due_in_time_and_catches_up() {
        let mut every = Every::new(100.0, 1000);
        assert_eq!(every.take(999), None);
        assert_eq!(every.take(1000), Some((0, 1000)));
        assert_eq!(every.take(1000), None);
        let late = 20_001_000;
        assert_eq!(every.take(late), Some((1, 10_001_000)));
        assert_eq!(every.take(late), Some((2, 20_001_000)));
        assert_eq!(every.take(late), None);
        assert_eq!(every.left_until(40_001_000), 1);
        assert_eq!(every.left_until(40_001_001), 2);
        let mut never = Every::new(0.0, 0);
        assert_eq!((never.take(u64::MAX - 1), never.left_until(9)), (None, 0));
    }
}
