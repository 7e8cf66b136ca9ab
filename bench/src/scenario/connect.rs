//! connect: how fast connections open and subscribe, what an idle one costs, and what is left
//! of that cost when all have gone and as many come again.

use serde_json::{Value, json};

use super::{Bench, Opener, Way, ns};
use crate::deliveries::report_connections;
use crate::report::{Latency, memory_json, new_latency};
use crate::sys;
use crate::usage::{Memory, Usage, Window, server_sockets, slab_kib, tcp_buffers_kib};

/// Until when a server must have noticed that its clients are gone.
const LET_GO_WITHIN_S: f64 = 30.0;
/// Memory that has not shrunk for this long is taken for all that will be given back.
const SETTLED_AFTER_S: f64 = 0.5;
const LOOK_EVERY_S: f64 = 0.1;

/// One coming and going of all connections.
struct Round {
    opened: u64,
    still_open: u64,
    failed: u64,
    before: Memory,
    just_opened: Memory,
    held: Memory,
    gone: Memory,
    opening: Usage,
    holding: Usage,
    tcp_buffers_growth_kib: i64,
    slab_growth_kib: i64,
    /// None: the server still held connections when the wait for it ended.
    let_go_ns: Option<u64>,
}

/// Latencies of all rounds.
struct Latencies {
    established: Latency,
    subscribed: Latency,
}

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let connections = bench.options.connections.unwrap_or(10_000);
    let inflight = bench.options.inflight.unwrap_or(256).max(1);
    anyhow::ensure!(bench.options.rounds > 0, "there must be a round");
    let mut latencies = Latencies {
        established: new_latency(),
        subscribed: new_latency(),
    };
    bench.idle(0.2)?;
    let mut rounds = Vec::new();
    for _ in 0..bench.options.rounds {
        rounds.push(Round::run(bench, connections, inflight, &mut latencies)?);
    }

    let opened = rounds.iter().map(|round| round.opened).sum();
    let mut opening = Usage::none();
    rounds.iter().for_each(|round| opening += round.opening);
    let report = &mut bench.report;
    report.set("connections", connections);
    report.set("inflight", inflight);
    report.rate("connections_per_s", opened, opening.wall_ns);
    report.latency("established", &latencies.established);
    report.latency("subscribed", &latencies.subscribed);
    report.usage(&opening, &bench.server, &[("connection", opened)]);
    report_first(bench, &rounds[0]);
    if rounds.len() > 1 {
        report_rounds(bench, &rounds);
    }
    for round in &rounds {
        let report = &mut bench.report;
        report.problem_count(round.failed, "connections FAILED");
        let lost = round.opened.saturating_sub(round.still_open);
        report.problem_count(lost, "connections lost while idle");
        if round.let_go_ns.is_none() {
            report.problem("the server kept connections whose clients had long gone");
        }
    }
    report_connections(&bench.net, &mut bench.report);
    Ok(())
}

impl Round {
    fn run(
        bench: &mut Bench,
        connections: usize,
        inflight: usize,
        latencies: &mut Latencies,
    ) -> anyhow::Result<Self> {
        let channel = format!("bench-{}-idle", bench.run_id);
        let before = bench.server.memory();
        let (tcp_before, slab_before) = (tcp_buffers_kib(), slab_kib());
        bench.server.reset_peak_rss();
        let mut opener = Opener::new(vec![Some(&channel); connections], inflight);
        opener.ways.fill(Way {
            is_over_tls: bench.net.tls.is_some(),
            ..Way::default()
        });
        let started = sys::now_ns();
        let window = Window::open(&bench.server);
        opener.run(&mut bench.net)?;
        let mut opening = window.close(&bench.server);
        if opener.last_finish > started {
            opening.wall_ns = opener.last_finish - started;
        }
        latencies.established.add(&opener.established)?;
        latencies.subscribed.add(&opener.subscribed)?;
        let just_opened = bench.server.memory();

        let window = Window::open(&bench.server);
        bench.idle(bench.options.hold)?;
        let holding = window.close(&bench.server);
        let held = bench.server.memory();
        let (tcp_held, slab_held) = (tcp_buffers_kib(), slab_kib());
        let still_open = (0..bench.net.ws_count()).filter(|conn| bench.net.is_open(*conn));
        let still_open = still_open.count() as u64;

        bench.net.drop_all_ws();
        let let_go_ns = let_go(bench)?;
        Ok(Self {
            opened: opener.finished as u64,
            still_open,
            failed: opener.failed as u64,
            before,
            just_opened,
            held,
            gone: bench.server.memory(),
            opening,
            holding,
            tcp_buffers_growth_kib: tcp_held as i64 - tcp_before as i64,
            slab_growth_kib: slab_held as i64 - slab_before as i64,
            let_go_ns,
        })
    }

    fn json(&self) -> Value {
        json!({
            "connections": self.opened,
            "server_us_per_connection":
                self.opening.server.exact_ns as f64 / 1000.0 / self.opened.max(1) as f64,
            "rss_before_kib": self.before.rss_kib,
            "rss_just_opened_kib": self.just_opened.rss_kib,
            "rss_held_kib": self.held.rss_kib,
            "rss_peak_kib": self.held.peak_rss_kib,
            "rss_gone_kib": self.gone.rss_kib,
            "let_go_s": self.let_go_ns.map(|ns| ns as f64 / 1e9),
        })
    }
}

/// Waits until the server has closed its ends and given back what memory it gives back, and
/// returns how long the closing took, unless it never ended.
fn let_go(bench: &mut Bench) -> anyhow::Result<Option<u64>> {
    let started = sys::now_ns();
    let until = started + ns(LET_GO_WITHIN_S);
    while server_sockets(bench.net.server) > 0 {
        if sys::now_ns() > until {
            return Ok(None);
        }
        bench.idle(LOOK_EVERY_S)?;
    }
    let closed_after = sys::now_ns() - started;
    let mut least = bench.server.memory().rss_kib;
    let mut shrank_at = sys::now_ns();
    while sys::now_ns() < until.min(shrank_at + ns(SETTLED_AFTER_S)) {
        bench.idle(LOOK_EVERY_S)?;
        let rss = bench.server.memory().rss_kib;
        if rss < least {
            (least, shrank_at) = (rss, sys::now_ns());
        }
    }
    Ok(Some(closed_after))
}

/// What an idle connection costs a server that never had more.
fn report_first(bench: &mut Bench, round: &Round) {
    let report = &mut bench.report;
    if bench.server.is_known() && round.still_open > 0 {
        let per = |after: u64, before: u64| {
            let kib = (after as f64 - before as f64) / round.still_open as f64;
            (kib * 100.0).round() / 100.0
        };
        let (before, after) = (round.before, round.held);
        report.set("kib_per_connection_rss", per(after.rss_kib, before.rss_kib));
        report.set("kib_per_connection_pss", per(after.pss_kib, before.pss_kib));
        report.set("memory_before", memory_json(before));
        report.set("memory_just_opened", memory_json(round.just_opened));
        report.set("memory_after_hold", memory_json(after));
        let held = &round.holding;
        report.set("hold_s", (held.wall_ns as f64 / 1e8).round() / 10.0);
        let idle = held.server.exact_ns as f64 / held.wall_ns as f64 * 1e6;
        report.set("server_idle_us_per_s", idle.round());
        report.note_unless_fresh(before);
    }
    report.set("tcp_buffers_growth_kib", round.tcp_buffers_growth_kib);
    report.set("kernel_slab_growth_kib", round.slab_growth_kib);
}

/// Whether the rounds after the first needed more than it did.
fn report_rounds(bench: &mut Bench, rounds: &[Round]) {
    let report = &mut bench.report;
    let all: Vec<Value> = rounds.iter().map(Round::json).collect();
    report.set("rounds", all);
    if !bench.server.is_known() {
        return;
    }
    let over_first = |kib: fn(&Round) -> u64| {
        let later = rounds[1..].iter().map(kib).max().unwrap_or_default();
        (later as f64 / kib(&rounds[0]).max(1) as f64 * 1000.0).round() / 1000.0
    };
    let held = over_first(|round| round.held.rss_kib);
    report.set("later_rounds_rss_over_first", held);
    let peak = over_first(|round| round.held.peak_rss_kib);
    report.set("later_rounds_peak_over_first", peak);
}
