//! Publishes at a fixed rate, wherever the plan has them, and every delivery of them checked.

use std::collections::BTreeMap;

use super::plan::Plan;
use crate::deliveries::{Ledger, intact};
use crate::net::{Delivery, Handler, Net, Outcome};
use crate::pusher::{append_publish, event_data};
use crate::report::{Latency, new_latency};
use crate::scenario::frames::{Content, KnownFrame};
use crate::sys;

const EVENT: &str = "bench-event";
/// After the last publish, how long without a delivery until the missing count as lost.
const DRAIN_QUIET_NS: u64 = 2_000_000_000;
/// How long after the end what was due before it may still be published.
const CATCH_UP_NS: u64 = 1_000_000_000;

pub(super) struct Traffic<'a> {
    plan: &'a Plan,
    pub(super) ledger: Ledger,
    /// From publish to receive, by the subscriber's node.
    pub(super) latency_at: Vec<Latency>,
    /// Publish start to HTTP answer.
    pub(super) answer: Latency,
    pub(super) refusals: BTreeMap<String, u64>,
    pub(super) unanswered: u64,
    pub(super) started_at: u64,
    pub(super) last_arrival: u64,
    /// Stream and sequence number, by HTTP tag.
    published: Vec<(u32, u64)>,
    /// By channel.
    frames: Vec<KnownFrame>,
}

impl<'a> Traffic<'a> {
    pub(super) fn new(plan: &'a Plan) -> Self {
        let now = sys::now_ns();
        Self {
            plan,
            ledger: Ledger::new(plan.streams(), &plan.stream_subscribers(), now),
            latency_at: vec![new_latency(); plan.nodes.len()],
            answer: new_latency(),
            refusals: BTreeMap::new(),
            unanswered: 0,
            started_at: now,
            last_arrival: now,
            published: Vec::new(),
            frames: vec![KnownFrame::default(); plan.channels.len()],
        }
    }

    /// Publishes for `duration_ns`, then waits for what is still on its way. What was due is
    /// published however late it has become, up to a point: returns how much was not even then.
    pub(super) fn run(
        &mut self,
        net: &mut Net,
        rate: f64,
        duration_ns: u64,
    ) -> anyhow::Result<u64> {
        let interval_ns = (1e9 / rate) as u64;
        let start = sys::now_ns();
        let end = start + duration_ns;
        (self.started_at, self.last_arrival) = (start, start);
        let mut next_due = start;
        loop {
            let now = sys::now_ns();
            let too_late = now > end + CATCH_UP_NS;
            while next_due < end && next_due <= now && !too_late && self.has_publisher(net) {
                self.publish(net, next_due)?;
                next_due += interval_ns;
            }
            if next_due >= end || too_late {
                let done = self.ledger.incomplete == 0 && self.unanswered == 0;
                let quiet = now.saturating_sub(self.last_arrival.max(end)) > DRAIN_QUIET_NS;
                if done || quiet {
                    return Ok(end.saturating_sub(next_due).div_ceil(interval_ns));
                }
            }
            let wait = if next_due < end && self.has_publisher(net) {
                next_due.saturating_sub(sys::now_ns())
            } else {
                // Until an answer or a delivery, or to look again at the time.
                10_000_000
            };
            net.poll(wait, self)?;
        }
    }

    /// Whether a publisher is free at the node whose turn it is.
    fn has_publisher(&self, net: &Net) -> bool {
        let turn = self.plan.turn(self.published.len() as u64);
        net.is_http_idle_at(self.plan.nodes[turn.node])
    }

    fn publish(&mut self, net: &mut Net, due_at: u64) -> anyhow::Result<()> {
        let turn = self.plan.turn(self.published.len() as u64);
        let stream = self.plan.stream(turn);
        let mark = self.ledger.publish(stream, due_at, sys::now_ns());
        let data = event_data(mark, self.plan.payload);
        let mut body = String::with_capacity(data.len() + 128);
        let channel = &self.plan.channels[turn.channel];
        append_publish(EVENT, channel, &data, false, &mut body);
        let tag = self.published.len() as u64;
        self.published.push((stream, mark.seq));
        self.unanswered += 1;
        net.post_at(self.plan.nodes[turn.node], tag, "/events", &body)
    }

    /// The first frame of a channel is compared with what was published, field by field, and the
    /// others with the first, byte by byte.
    fn check_content(&mut self, event: &Delivery<'_>) {
        let Some(channel) = self.plan.channel_of_stream(event.mark.channel) else {
            return;
        };
        let is_intact = || {
            let data = event_data(event.mark, self.plan.payload);
            intact(event.text, EVENT, &self.plan.channels[channel], &data)
        };
        match self.frames[channel].check(event, is_intact) {
            Content::AsBefore => {}
            Content::Intact => self.ledger.compared_in_full += 1,
            Content::Malformed => self.ledger.malformed += 1,
        }
    }
}

impl Handler for Traffic<'_> {
    fn delivery(&mut self, _net: &mut Net, conn: usize, event: Delivery<'_>, now: u64) {
        self.last_arrival = now;
        let received = self.ledger.received;
        let subscriber = self.plan.stream_subscriber(conn, event.mark.channel);
        self.ledger.delivered(subscriber, event.mark, now);
        if self.ledger.received > received {
            let node = self.plan.seats[conn].node;
            self.latency_at[node].saturating_record(now.saturating_sub(event.mark.sent_at));
        }
        self.check_content(&event);
    }

    fn response(&mut self, _net: &mut Net, tag: u64, outcome: Outcome<'_>, now: u64) {
        let (stream, seq) = self.published[tag as usize];
        self.unanswered -= 1;
        let refusal = outcome.refusal();
        let accepted = refusal.is_none();
        if let Some(refusal) = refusal {
            *self.refusals.entry(refusal).or_default() += 1;
        }
        let sent_at = self.ledger.sent_at(stream, seq);
        self.answer.saturating_record(now.saturating_sub(sent_at));
        self.ledger.answered(stream, seq, accepted, now);
    }
}
