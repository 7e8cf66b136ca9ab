//! What a delivery costs while nobody, one and as many as there may be watch the live stream, one after the other;
//! and what it costs another build that nobody watches, such as one that cannot be watched.

mod watchers;

use std::net::SocketAddrV4;

use anyhow::{Context as _, ensure};

use self::watchers::{Seen, Watchers};
use super::load::{Load, Pace};
use super::{Bench, Way, ns};
use crate::deliveries::{Deliveries, report_connections};
use crate::report::Report;
use crate::usage::{Processes, Window};

/// Eight are the most that a relay allows.
const WATCHERS: [usize; 3] = [0, 1, 8];
const ROUNDS: usize = 5;
/// Enough for an answer to be late without the next event having to wait for it.
const PUBLISHERS: usize = 16;

/// What takes turns with the others.
struct Turn {
    name: String,
    /// Which of the servers.
    server: usize,
    watchers: usize,
    costs: Vec<f64>,
    seen: Seen,
}

impl Turn {
    fn new(name: String, server: usize, watchers: usize) -> Self {
        Self {
            name,
            server,
            watchers,
            costs: Vec::new(),
            seen: Seen::default(),
        }
    }
}

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let options = bench.options.clone();
    let admin = options
        .admin
        .context("where the live stream is: --admin HOST:PORT")?;
    ensure!(admin.ip().is_loopback(), "--admin must be on this machine");
    let connections = options.connections.unwrap_or(10);
    let rate = options.rate.unwrap_or(5000.0);
    ensure!(connections > 0, "there must be connections");
    ensure!(rate > 0.0, "the rate must be above 0");
    let servers = bench.servers.clone();
    ensure!(
        options.pid.is_empty() || options.pid.len() == servers.len(),
        "watched takes a process for each URL"
    );
    let processes = of_each(&options.pid, servers.len())?;
    let channel = format!("bench-{}", bench.run_id);
    open(bench, &servers, &channel, connections)?;
    let publishers = options.publishers.unwrap_or(PUBLISHERS);
    for server in &servers {
        bench.net.open_http_at(*server, publishers)?;
    }

    let mut turns = turns(servers.len());
    let mut deliveries = Deliveries::default();
    let pace = Pace::Open {
        interval_ns: (1e9 / rate) as u64,
    };
    let channels = std::slice::from_ref(&channel);
    let payload = options.payload.unwrap_or(128);
    for _ in 0..ROUNDS {
        for turn in &mut turns {
            let of_server = |conn: usize| (conn / connections == turn.server).then_some(0);
            let counted: Vec<Option<u32>> =
                (0..connections * servers.len()).map(of_server).collect();
            let server = servers[turn.server];
            let load = || Load::new(channels, &counted, payload).at(server);
            let watchers = Watchers::start(admin, &options.app_id, turn.watchers)?;
            load().run(&mut bench.net, pace, ns(options.warmup))?;
            let mut load = load();
            let window = Window::open(&processes[turn.server]);
            let unpublished = load.run(&mut bench.net, pace, ns(options.seconds))?;
            let usage = window.close(&processes[turn.server]);
            turn.seen += watchers.stop()?;
            let received = load.ledger.received.max(1) as f64;
            turn.costs
                .push(usage.server.exact_ns as f64 / 1000.0 / received);
            bench.report.problem_count(
                unpublished,
                "scheduled events NOT PUBLISHED: the client was too late, or no publisher was free",
            );
            deliveries += load.ledger.deliveries();
        }
    }
    let report = &mut bench.report;
    deliveries.report(report);
    report.set("rate_asked", rate);
    report.set("payload_bytes", payload);
    report_turns(report, &turns, bench.server.is_known());
    report_connections(&bench.net, report);
    Ok(())
}

/// All servers but the first are of other builds, and are not watched.
fn turns(servers: usize) -> Vec<Turn> {
    let watched = WATCHERS.map(|watchers| {
        let name = match watchers {
            0 => "unwatched".to_string(),
            _ => format!("watched_by_{watchers}"),
        };
        Turn::new(name, 0, watchers)
    });
    let other = (1..servers).map(|server| Turn::new(format!("other_build_{server}"), server, 0));
    watched.into_iter().chain(other).collect()
}

/// The processes of each server; of none, if no process is known.
fn of_each(pids: &[i32], servers: usize) -> anyhow::Result<Vec<Processes>> {
    let of = |server| pids.get(server).copied().into_iter().collect();
    (0..servers)
        .map(|server| Processes::new(of(server)))
        .collect()
}

/// As many subscribers at each server.
fn open(
    bench: &mut Bench,
    servers: &[SocketAddrV4],
    channel: &str,
    connections: usize,
) -> anyhow::Result<()> {
    let ways = servers.iter().flat_map(|server| {
        let way = Way {
            server: Some(*server),
            ..Way::default()
        };
        std::iter::repeat_n(way, connections)
    });
    let ways: Vec<Way> = ways.collect();
    bench.open_all(vec![Some(channel); ways.len()], ways)
}

fn report_turns(report: &mut Report, turns: &[Turn], is_measured: bool) {
    for turn in turns {
        let (name, seen) = (&turn.name, turn.seen);
        if turn.watchers > 0 {
            report.set(&format!("{name}_lines"), seen.lines);
            report.set(&format!("{name}_left_out"), seen.left_out);
            if seen.lines == 0 {
                report.problem(format!("{name}: nobody was shown anything"));
            }
        }
        if !is_measured {
            continue;
        }
        report.turns(&format!("{name}_us_per_delivery"), &turn.costs);
        if name != &turns[0].name {
            let pairs = turns[0].costs.iter().zip(&turn.costs);
            let ratios: Vec<f64> = pairs.map(|(unwatched, cost)| cost / unwatched).collect();
            report.turns(&format!("{name}_to_unwatched"), &ratios);
        }
    }
}
