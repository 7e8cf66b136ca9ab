//! fanout, max-fanout, many-channels and slow-consumer: one event to many subscribers.

use std::collections::BTreeMap;

use anyhow::ensure;

use super::{Bench, Scenario, ns};
use crate::deliveries::{Ledger, intact, report_connections};
use crate::net::{Delivery, Handler, Net, Outcome};
use crate::pusher::{Mark, append_publish, event_data};
use crate::report::{Latency, Report, memory_json, new_latency};
use crate::sys;
use crate::usage::{ServerEnd, Window, server_ends, tcp_buffers_kib};

const EVENT: &str = "bench-event";
/// A closed loop that gets nothing for this long counts the rest as lost and goes on.
const STALL_NS: u64 = 2_000_000_000;
/// After the last publish, how long without a delivery until the missing count as lost.
const DRAIN_QUIET_NS: u64 = 2_000_000_000;
const STALLED_RECEIVE_BUFFER: i32 = 4096;

#[derive(Clone, Copy)]
enum Pace {
    /// One event every so many nanoseconds, whatever happens.
    Open { interval_ns: u64 },
    /// At most so many events not yet delivered everywhere.
    Closed { window: u64 },
}

struct Load<'a> {
    channels: &'a [String],
    payload: usize,
    ledger: Ledger,
    /// Which channel's event each HTTP tag is: channel and sequence number.
    published: Vec<(u32, u64)>,
    next_channel: u32,
    /// How late each publish began against its schedule.
    publish_lag: Latency,
    /// Publish start to HTTP answer.
    answer: Latency,
    unanswered: u64,
    refusals: BTreeMap<String, u64>,
    started_at: u64,
    last_arrival: u64,
    /// An intact frame of each channel: what stands before and after the mark.
    frames: Vec<Option<(Vec<u8>, Vec<u8>)>>,
}

impl<'a> Load<'a> {
    fn new(channels: &'a [String], channel_of: &[Option<u32>], payload: usize) -> Self {
        Self {
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
            frames: vec![None; channels.len()],
        }
    }

    /// Frames of one channel differ only in their mark: the first one is compared with what
    /// was published, field by field, and the others with the first, byte by byte.
    fn check_content(&mut self, event: &Delivery<'_>) {
        let Some(channel) = self.channels.get(event.mark.channel as usize) else {
            return;
        };
        let around = (
            &event.text[..event.mark_at.start],
            &event.text[event.mark_at.end..],
        );
        let frame = &mut self.frames[event.mark.channel as usize];
        if frame
            .as_ref()
            .is_some_and(|(before, after)| around == (before, after))
        {
            return;
        }
        let data = event_data(event.mark, self.payload);
        if intact(event.text, EVENT, channel, &data) {
            self.ledger.compared_in_full += 1;
            *frame = Some((around.0.to_vec(), around.1.to_vec()));
        } else {
            self.ledger.malformed += 1;
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
        net.post(tag, "/events", &body)
    }

    /// Publishes for `duration_ns`, then waits for what is still on its way. Returns how many
    /// scheduled events were never published because no publisher connection was free.
    fn run(&mut self, net: &mut Net, pace: Pace, duration_ns: u64) -> anyhow::Result<u64> {
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
                    while next_due < end && next_due <= now && net.http_idle() > 0 && now < end {
                        self.publish(net, Some(next_due))?;
                        next_due += interval_ns;
                    }
                    if net.http_idle() > 0 {
                        wait = wait.min(next_due.saturating_sub(sys::now_ns()));
                    }
                }
                Pace::Closed { window } => {
                    while now < end && self.ledger.incomplete < window && net.http_idle() > 0 {
                        self.publish(net, None)?;
                    }
                    if now < end && now.saturating_sub(self.last_arrival) > STALL_NS {
                        self.ledger.give_up();
                        self.last_arrival = now;
                    }
                }
            }
            if now >= end {
                let done = self.ledger.incomplete == 0 && self.unanswered == 0;
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

pub(crate) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let options = bench.options.clone();
    let scenario = options.scenario;
    let slow = scenario == Scenario::SlowConsumer;
    let many = scenario == Scenario::ManyChannels;
    let connections = options.connections.unwrap_or(if slow { 200 } else { 1000 });
    let payload = options.payload.unwrap_or(if slow { 8192 } else { 128 });
    let pace = match scenario {
        Scenario::MaxFanout => Pace::Closed {
            window: options.window.unwrap_or(4).max(1) as u64,
        },
        Scenario::ManyChannels => Pace::Closed {
            window: options.window.unwrap_or(32).max(1) as u64,
        },
        _ => {
            let rate = options.rate.unwrap_or(if slow { 200.0 } else { 100.0 });
            ensure!(rate > 0.0, "the rate must be above 0");
            Pace::Open {
                interval_ns: (1e9 / rate) as u64,
            }
        }
    };
    let publishers = options.publishers.unwrap_or(match pace {
        Pace::Open { .. } => 1,
        Pace::Closed { window } => (window as usize).min(8),
    });
    ensure!(
        connections > 0 && publishers > 0,
        "there must be connections and publishers"
    );

    let channel_count = if many { connections.div_ceil(10) } else { 1 };
    let name = |index| format!("bench-{}-{index:06}", bench.run_id);
    let channels: Vec<String> = (0..channel_count).map(name).collect();
    let stalled = if slow {
        ((connections as f64 * options.stalled) as usize).max(1)
    } else {
        0
    };
    // Stalled connections are spread evenly among the others.
    let is_stalled = |conn: usize| {
        stalled > 0 && (conn * stalled) / connections != ((conn + 1) * stalled) / connections
    };
    let channel_of = |conn: usize| (conn % channel_count) as u32;
    let counted: Vec<Option<u32>> = (0..connections)
        .map(|c| (!is_stalled(c)).then_some(channel_of(c)))
        .collect();

    let memory_empty = bench.server.memory();
    let subscribe = (0..connections).map(|c| Some(channels[channel_of(c) as usize].as_str()));
    let buffer = |c| is_stalled(c).then_some(STALLED_RECEIVE_BUFFER);
    bench.open_all(subscribe.collect(), (0..connections).map(buffer).collect())?;
    bench.net.open_http(publishers)?;
    bench.measure_idle()?;

    // The warm-up has a ledger of its own, so nothing of it counts.
    let mut warmup = Load::new(&channels, &counted, payload);
    warmup.run(&mut bench.net, pace, ns(options.warmup))?;

    let stalled_conns: Vec<usize> = (0..connections).filter(|c| is_stalled(*c)).collect();
    let stalled_addresses: Vec<_> = stalled_conns
        .iter()
        .filter_map(|c| bench.net.local_addr(*c))
        .collect();
    for conn in &stalled_conns {
        bench.net.stop_reading(*conn)?;
    }

    let mut load = Load::new(&channels, &counted, payload);
    let memory_before = bench.server.memory();
    let tcp_before = tcp_buffers_kib();
    let (reads_before, bytes_before) = (bench.net.counters.reads, bench.net.counters.bytes_read);
    let window = Window::open(&bench.server);
    let unpublished = load.run(&mut bench.net, pace, ns(options.seconds))?;
    let mut usage = window.close(&bench.server);
    let memory_after = bench.server.memory();
    let tcp_after = tcp_buffers_kib();
    // A wait for deliveries that never came is no working time.
    let worked_ns = load.last_arrival.saturating_sub(load.started_at);
    usage.wall_ns = usage.wall_ns.min(worked_ns.max(ns(options.seconds)));

    let report = &mut bench.report;
    report.set("channels", channel_count);
    report.set(
        "payload_bytes",
        event_data(
            Mark {
                channel: 0,
                seq: 0,
                sent_at: 0,
            },
            payload,
        )
        .len(),
    );
    report.set("publishers", publishers);
    match pace {
        Pace::Open { interval_ns } => report.set("rate_asked", 1e9 / interval_ns as f64),
        Pace::Closed { window } => report.set("window", window),
    }
    let received = load.ledger.received;
    let accepted = load.ledger.accepted;
    report.set("events_accepted", accepted);
    load.ledger.report(report);
    report_answers(&load, report);
    report.rate("events_per_s", accepted, usage.wall_ns);
    report.rate("deliveries_per_s", received, usage.wall_ns);
    report.latency("latency", &load.ledger.latency);
    report.latency("http_answer", &load.answer);
    if let Pace::Open { .. } = pace {
        report.latency("publish_lag", &load.publish_lag);
        report.latency("latency_from_schedule", &load.ledger.latency_from_schedule);
        report.problem_count(
            unpublished,
            "scheduled events NOT PUBLISHED: no free publisher",
        );
        if load.publish_lag.value_at_quantile(0.99) > 2_000_000 {
            report.note(
                "publishes began more than 2 ms behind their schedule (p99), for want of a free \
                 publisher connection: read latency_from_schedule, as latency leaves that out",
            );
        }
    }
    report.usage(
        &usage,
        &bench.server,
        &[("delivery", received), ("event", accepted)],
    );
    let reads = bench.net.counters.reads - reads_before;
    let bytes = bench.net.counters.bytes_read - bytes_before;
    let per = |total: u64, count: u64| (total as f64 / count.max(1) as f64 * 100.0).round() / 100.0;
    report.set("deliveries_per_read", per(received, reads));
    report.set("bytes_per_delivery", per(bytes, received));

    if bench.server.is_known() {
        report.set("memory_before_connections", memory_json(memory_empty));
        report.set("memory_before_load", memory_json(memory_before));
        report.set("memory_after_load", memory_json(memory_after));
    }
    report.set("tcp_buffers_before_kib", tcp_before);
    report.set("tcp_buffers_after_kib", tcp_after);
    if slow {
        let growth = memory_after.rss_kib as i64 - memory_before.rss_kib as i64;
        if bench.server.is_known() {
            report.set("server_rss_growth_kib", growth);
            report.note_unless_fresh(memory_before);
        }
        let p99_ms = load.ledger.latency.value_at_quantile(0.99) as f64 / 1e6;
        report.set("healthy_p99_within_bound", p99_ms <= options.p99_bound_ms);
        if p99_ms > options.p99_bound_ms {
            report.problem(format!(
                "healthy clients' p99 is {p99_ms:.1} ms, above the bound of {} ms",
                options.p99_bound_ms
            ));
        }
        report_stalled(
            bench,
            &stalled_conns,
            &stalled_addresses,
            accepted * payload as u64,
        );
    }
    report_connections(&bench.net, &mut bench.report);
    Ok(())
}

fn report_answers(load: &Load, report: &mut Report) {
    for (refusal, count) in &load.refusals {
        report.problem(format!("{count} publishes refused: {refusal}"));
    }
    report.problem_count(load.unanswered, "publishes NEVER ANSWERED");
}

fn report_stalled(
    bench: &mut Bench,
    conns: &[usize],
    addresses: &[std::net::SocketAddrV4],
    offered_bytes: u64,
) {
    let ends = server_ends(bench.net.server, addresses);
    let unsent: Vec<u64> = ends
        .iter()
        .filter_map(|end| match end {
            ServerEnd::Open { unsent_bytes } => Some(*unsent_bytes),
            ServerEnd::Closed => None,
        })
        .collect();
    let disconnected = ends.len() - unsent.len();
    let report = &mut bench.report;
    report.set(
        "stalled",
        serde_json::json!({
            "clients": conns.len(),
            "disconnected_by_server": disconnected,
            "still_connected": unsent.len(),
            "offered_bytes_each": offered_bytes,
            "kernel_unsent_bytes_each_max": unsent.iter().max(),
        }),
    );
    let most_unsent = unsent.iter().max().copied().unwrap_or(0);
    if disconnected == 0 && offered_bytes < most_unsent + (256 << 10) {
        report.note(
            "the kernel's socket buffer could hold nearly all that the stalled clients were \
             offered: the server was not put to the test; raise --payload, --rate or --seconds",
        );
    }
    // These closes are what the scenario is after, not trouble.
    bench
        .net
        .counters
        .ws_closed
        .remove("closed or reset while the client did not read");
}
