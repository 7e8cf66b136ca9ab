//! fanout, max-fanout, many-channels, health and slow-consumer: one event to many subscribers.

use anyhow::ensure;

use super::load::{Load, Pace};
use super::probe::Probe;
use super::stalled::Stalled;
use super::{Bench, RunOptions, Scenario, Way, ns};
use crate::deliveries::report_connections;
use crate::pusher::data_size;
use crate::report::{Report, memory_json};
use crate::usage::{Memory, Usage, Window, tcp_buffers_kib};

const STALLED_RECEIVE_BUFFER: i32 = 4096;
/// Publishes this far behind their schedule make `latency` say less than it seems to.
const LATE_PUBLISH_NS: u64 = 2_000_000;

/// Who subscribes to what, and how events come.
struct Plan {
    connections: usize,
    channels: usize,
    /// Connections that stop reading before the measured window.
    stalled: usize,
    payload: usize,
    pace: Pace,
    publishers: usize,
}

impl Plan {
    fn new(options: &RunOptions) -> anyhow::Result<Self> {
        let scenario = options.scenario;
        let slow = scenario == Scenario::SlowConsumer;
        let connections = options.connections.unwrap_or(match scenario {
            Scenario::SlowConsumer => 200,
            Scenario::Health => 10_000,
            _ => 1000,
        });
        let window = |default| options.window.unwrap_or(default).max(1) as u64;
        let pace = match scenario {
            Scenario::MaxFanout | Scenario::Health => Pace::Closed { window: window(4) },
            Scenario::ManyChannels => Pace::Closed { window: window(32) },
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
        Ok(Self {
            connections,
            channels: match scenario {
                Scenario::ManyChannels => connections.div_ceil(10),
                _ => 1,
            },
            stalled: if slow {
                ((connections as f64 * options.stalled) as usize).max(1)
            } else {
                0
            },
            payload: options.payload.unwrap_or(if slow { 8192 } else { 128 }),
            pace,
            publishers,
        })
    }

    fn channel_of(&self, conn: usize) -> usize {
        conn % self.channels
    }

    /// Stalled connections are spread evenly among the others.
    fn is_stalled(&self, conn: usize) -> bool {
        let before = |conn: usize| conn * self.stalled / self.connections;
        before(conn) != before(conn + 1)
    }

    /// The channel of each connection whose deliveries count.
    fn counted(&self) -> Vec<Option<u32>> {
        (0..self.connections)
            .map(|conn| (!self.is_stalled(conn)).then_some(self.channel_of(conn) as u32))
            .collect()
    }
}

/// What is compared before and after the load.
struct State {
    memory: Memory,
    tcp_buffers_kib: u64,
    reads: u64,
    bytes_read: u64,
}

impl State {
    fn now(bench: &Bench) -> Self {
        Self {
            memory: bench.server.memory(),
            tcp_buffers_kib: tcp_buffers_kib(),
            reads: bench.net.counters.reads,
            bytes_read: bench.net.counters.bytes_read,
        }
    }
}

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let options = bench.options.clone();
    let plan = Plan::new(&options)?;
    let channels: Vec<String> = (0..plan.channels)
        .map(|index| format!("bench-{}-{index:06}", bench.run_id))
        .collect();
    let counted = plan.counted();

    let memory_empty = bench.server.memory();
    open(bench, &plan, &channels)?;
    bench.measure_idle()?;

    // The warm-up has a ledger of its own, so nothing of it counts.
    let mut warmup = Load::new(&channels, &counted, plan.payload);
    warmup.run(&mut bench.net, plan.pace, ns(options.warmup))?;
    let stalled = (0..plan.connections).filter(|conn| plan.is_stalled(*conn));
    let stalled = Stalled::stop_reading(&mut bench.net, stalled.collect())?;

    let mut load = Load::new(&channels, &counted, plan.payload);
    let peak_is_of_window = bench.server.reset_peak_rss();
    let before = State::now(bench);
    let probe = (options.scenario == Scenario::Health)
        .then(|| Probe::start(bench.net.server, &options.probe_path));
    let window = Window::open(&bench.server);
    let unpublished = load.run(&mut bench.net, plan.pace, ns(options.seconds))?;
    let mut usage = window.close(&bench.server);
    let probe = probe.map(Probe::finish);
    let after = State::now(bench);
    // A wait for deliveries that never came is no working time.
    let worked_ns = load.last_arrival.saturating_sub(load.started_at);
    usage.wall_ns = usage.wall_ns.min(worked_ns.max(ns(options.seconds)));

    let report = &mut bench.report;
    report.set("channels", plan.channels);
    report.set("payload_bytes", data_size(plan.payload));
    report.set("publishers", plan.publishers);
    report_load(&load, plan.pace, unpublished, &usage, report);
    let (received, accepted) = (load.ledger.received, load.ledger.accepted);
    let units = [("delivery", received), ("event", accepted)];
    report.usage(&usage, &bench.server, &units);
    let per = |total: u64, count: u64| (total as f64 / count.max(1) as f64 * 100.0).round() / 100.0;
    let reads = after.reads - before.reads;
    report.set("deliveries_per_read", per(received, reads));
    let bytes = after.bytes_read - before.bytes_read;
    report.set("bytes_per_delivery", per(bytes, received));

    if bench.server.is_known() {
        report.set("memory_before_connections", memory_json(memory_empty));
        report.set("memory_before_load", memory_json(before.memory));
        report.set("memory_after_load", memory_json(after.memory));
    }
    report.set("tcp_buffers_before_kib", before.tcp_buffers_kib);
    report.set("tcp_buffers_after_kib", after.tcp_buffers_kib);
    if let Some(findings) = probe {
        findings.report(report);
    }
    if plan.stalled > 0 {
        if bench.server.is_known() && peak_is_of_window {
            let growth = after.memory.peak_rss_kib as i64 - before.memory.rss_kib as i64;
            report.set("server_peak_rss_growth_kib", growth);
            report.set(
                "server_peak_rss_growth_kib_per_stalled",
                growth as f64 / plan.stalled as f64,
            );
        }
        report.note_unless_fresh(memory_empty);
        report_healthy(&load, options.p99_bound_ms, report);
        stalled.report(bench, accepted * plan.payload as u64)?;
    }
    report_connections(&bench.net, &mut bench.report);
    Ok(())
}

fn open(bench: &mut Bench, plan: &Plan, channels: &[String]) -> anyhow::Result<()> {
    let conns = 0..plan.connections;
    let way = |conn| Way {
        receive_buffer: plan.is_stalled(conn).then_some(STALLED_RECEIVE_BUFFER),
        ..Way::default()
    };
    let subscribe = |conn| Some(channels[plan.channel_of(conn)].as_str());
    bench.open_all(
        conns.clone().map(subscribe).collect(),
        conns.map(way).collect(),
    )?;
    bench.net.open_http(plan.publishers)
}

fn report_load(load: &Load, pace: Pace, unpublished: u64, usage: &Usage, report: &mut Report) {
    match pace {
        Pace::Open { interval_ns } => report.set("rate_asked", 1e9 / interval_ns as f64),
        Pace::Closed { window } => report.set("window", window),
    }
    report.set("events_accepted", load.ledger.accepted);
    load.ledger.deliveries().report(report);
    for (refusal, count) in &load.refusals {
        report.problem(format!("{count} publishes refused: {refusal}"));
    }
    report.problem_count(load.unanswered, "publishes NEVER ANSWERED");
    report.rate("events_per_s", load.ledger.accepted, usage.wall_ns);
    report.rate("deliveries_per_s", load.ledger.received, usage.wall_ns);
    report.latency("latency", &load.ledger.latency);
    report.latency("http_answer", &load.answer);
    if let Pace::Open { .. } = pace {
        report.latency("publish_lag", &load.publish_lag);
        report.latency("latency_from_schedule", &load.ledger.latency_from_schedule);
        report.problem_count(
            unpublished,
            "scheduled events NOT PUBLISHED: no free publisher",
        );
        if load.publish_lag.value_at_quantile(0.99) > LATE_PUBLISH_NS {
            report.note(
                "publishes began more than 2 ms behind their schedule (p99), for want of a free \
                 publisher connection: read latency_from_schedule, as latency leaves that out",
            );
        }
    }
}

fn report_healthy(load: &Load, p99_bound_ms: f64, report: &mut Report) {
    let p99_ms = load.ledger.latency.value_at_quantile(0.99) as f64 / 1e6;
    report.set("healthy_p99_within_bound", p99_ms <= p99_bound_ms);
    if p99_ms > p99_bound_ms {
        report.problem(format!(
            "healthy clients' p99 is {p99_ms:.1} ms, above the bound of {p99_bound_ms} ms"
        ));
    }
}
