//! The load of a broadcast: events published at a rate or in a closed loop, and every
//! delivery of them checked.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;

use super::frames::{Content, KnownFrame};
use crate::deliveries::{Ledger, intact};
use crate::net::{Delivery, Handler, Net, Outcome};
use crate::pusher::{append_publish, event_data};
use crate::report::{Latency, new_latency};
use crate::sys;

const EVENT: &str = "bench-event";
/// A closed loop that gets nothing for this long counts the rest as lost and goes on.
const STALL_NS: u64 = 2_000_000_000;
/// How much later than the end of the window what was due before may still be published: the one thread is behind
/// with reading now and then.
const LATE_NS: u64 = 500_000_000;
/// After the last publish, how long without a delivery until the missing count as lost.
const DRAIN_QUIET_NS: u64 = 2_000_000_000;

#[derive(Clone, Copy)]
pub(super) enum Pace {
    /// One event every so many nanoseconds, whatever happens.
    Open { interval_ns: u64 },
    /// At most so many events not yet delivered everywhere.
    Closed { window: u64 },
}

pub(super) struct Load<'a> {
    /// Where events are published; None: with whatever publisher is free.
    server: Option<SocketAddrV4>,
    channels: &'a [String],
    payload: usize,
    pub(super) ledger: Ledger,
    /// Which channel's event each HTTP tag is: channel and sequence number.
    published: Vec<(u32, u64)>,
    next_channel: u32,
    /// How late each publish began against its schedule.
    pub(super) publish_lag: Latency,
    /// Publish start to HTTP answer.
    pub(super) answer: Latency,
    pub(super) unanswered: u64,
    pub(super) refusals: BTreeMap<String, u64>,
    pub(super) started_at: u64,
    pub(super) last_arrival: u64,
    /// By channel.
    frames: Vec<KnownFrame>,
}

impl<'a> Load<'a> {
    pub(super) fn new(channels: &'a [String], channel_of: &[Option<u32>], payload: usize) -> Self {
        Self {
            server: None,
            channels,
            payload,
            ledger: Ledger::new(channels.len(), channel_of, sys::now_ns()),
            published: Vec::new(),
            next_channel: 0,
            publish_lag: new_latency(),
            answer: new_latency(),
            unanswered: 0,
            refusals: BTreeMap::new(),
            started_at: 0,
            last_arrival: 0,
            frames: vec![KnownFrame::default(); channels.len()],
        }
    }

    /// The same with all events published at this server.
    pub(super) fn at(mut self, server: SocketAddrV4) -> Self {
        self.server = Some(server);
        self
    }

    fn has_publisher(&self, net: &Net) -> bool {
        match self.server {
            Some(server) => net.is_http_idle_at(server),
            None => net.http_idle() > 0,
        }
    }

    /// The first frame of a channel is compared with what was published, field by field, and the
    /// others with the first, byte by byte.
    fn check_content(&mut self, event: &Delivery<'_>) {
        let Some(channel) = self.channels.get(event.mark.channel as usize) else {
            return;
        };
        let frame = &mut self.frames[event.mark.channel as usize];
        let is_intact = || {
            let data = event_data(event.mark, self.payload);
            intact(event.text, EVENT, channel, &data)
        };
        match frame.check(event, is_intact) {
            Content::AsBefore => {}
            Content::Intact => self.ledger.compared_in_full += 1,
            Content::Malformed => self.ledger.malformed += 1,
        }
    }

    fn publish(&mut self, net: &mut Net, due_at: Option<u64>) -> anyhow::Result<()> {
        let channel = self.next_channel;
        self.next_channel = (channel + 1) % self.channels.len() as u32;
        let now = sys::now_ns();
        let due_at = due_at.unwrap_or(now);
        self.publish_lag.saturating_record(now - due_at);
        let mark = self.ledger.publish(channel, due_at, now);
        let data = event_data(mark, self.payload);
        let mut body = String::with_capacity(data.len() + 128);
        append_publish(
            EVENT,
            &self.channels[channel as usize],
            &data,
            false,
            &mut body,
        );
        let tag = self.published.len() as u64;
        self.published.push((channel, mark.seq));
        self.unanswered += 1;
        match self.server {
            Some(server) => net.post_at(server, tag, "/events", &body),
            None => net.post(tag, "/events", &body),
        }
    }

    /// Publishes for `duration_ns`, then waits for what is still on its way. Returns how many
    /// scheduled events were never published because no publisher connection was free.
    pub(super) fn run(
        &mut self,
        net: &mut Net,
        pace: Pace,
        duration_ns: u64,
    ) -> anyhow::Result<u64> {
        let start = sys::now_ns();
        let end = start + duration_ns;
        let mut next_due = start;
        self.started_at = start;
        self.last_arrival = start;
        loop {
            let now = sys::now_ns();
            let mut wait = 100_000_000;
            match pace {
                Pace::Open { interval_ns } => {
                    while next_due < end
                        && next_due <= now
                        && self.has_publisher(net)
                        && now < end + LATE_NS
                    {
                        self.publish(net, Some(next_due))?;
                        next_due += interval_ns;
                    }
                    if self.has_publisher(net) {
                        wait = wait.min(next_due.saturating_sub(sys::now_ns()));
                    }
                }
                Pace::Closed { window } => {
                    while now < end && self.ledger.incomplete < window && self.has_publisher(net) {
                        self.publish(net, None)?;
                    }
                    if now < end && now.saturating_sub(self.last_arrival) > STALL_NS {
                        self.ledger.give_up();
                        self.last_arrival = now;
                    }
                }
            }
            if now >= end {
                let all_published = match pace {
                    Pace::Open { .. } => next_due >= end || now >= end + LATE_NS,
                    Pace::Closed { .. } => true,
                };
                let done = all_published && self.ledger.incomplete == 0 && self.unanswered == 0;
                let quiet = now.saturating_sub(self.last_arrival.max(end)) > DRAIN_QUIET_NS;
                if done || quiet {
                    break;
                }
                wait = 10_000_000;
            }
            net.poll(wait.min(end.saturating_sub(now).max(1_000_000)), self)?;
        }
        Ok(match pace {
            Pace::Open { interval_ns } => end.saturating_sub(next_due).div_ceil(interval_ns),
            Pace::Closed { .. } => 0,
        })
    }
}

impl Handler for Load<'_> {
    fn delivery(&mut self, _net: &mut Net, conn: usize, event: Delivery<'_>, now: u64) {
        self.last_arrival = now;
        self.ledger.delivered(conn, event.mark, now);
        self.check_content(&event);
    }

    fn response(&mut self, _net: &mut Net, tag: u64, outcome: Outcome<'_>, now: u64) {
        let (channel, seq) = self.published[tag as usize];
        self.unanswered -= 1;
        let refusal = outcome.refusal();
        let accepted = refusal.is_none();
        if let Some(refusal) = refusal {
            *self.refusals.entry(refusal).or_default() += 1;
        }
        let sent_at = self.ledger.sent_at(channel, seq);
        self.answer.saturating_record(now.saturating_sub(sent_at));
        self.ledger.answered(channel, seq, accepted, now);
    }
}
