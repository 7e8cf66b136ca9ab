//! What a delivery costs over a WebSocket, and what over another carrier: both are there all the time,
//! each on a channel of its own, and the events go to one and then to the other.

use anyhow::ensure;

use super::load::{Load, Pace};
use super::{Bench, Way, ns};
use crate::deliveries::{Deliveries, report_connections};
use crate::usage::Window;

/// Enough for an answer to be late without the next event having to wait for it.
const PUBLISHERS: usize = 8;
/// The turns of each.
const ROUNDS: usize = 3;

/// What is held against WebSockets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Other {
    /// Streams of the HTTP fallback.
    Stream,
    /// WebSockets that name themselves, so that their sessions outlive them.
    Named,
    /// WebSockets over TLS.
    Tls,
}

impl Other {
    fn name(self) -> &'static str {
        match self {
            Other::Stream => "stream",
            Other::Named => "named",
            Other::Tls => "tls",
        }
    }
}

pub(super) fn run(bench: &mut Bench, other: Other) -> anyhow::Result<()> {
    let options = bench.options.clone();
    let connections = options.connections.unwrap_or(2000);
    let rate = options.rate.unwrap_or(10.0);
    ensure!(connections > 0, "there must be connections");
    ensure!(rate > 0.0, "the rate must be above 0");
    let pace = match options.window {
        Some(window) => Pace::Closed {
            window: window as u64,
        },
        None => Pace::Open {
            interval_ns: (1e9 / rate) as u64,
        },
    };
    let payload = options.payload.unwrap_or(128);
    let names = ["websocket", other.name()];
    let channels = names.map(|name| format!("bench-{}-{name}", bench.run_id));
    let is_other = |conn: usize| conn >= connections;
    let all = 0..2 * connections;
    let channel = |conn| Some(channels[usize::from(is_other(conn))].as_str());
    let way = |conn| Way {
        is_stream: is_other(conn) && other == Other::Stream,
        is_named: is_other(conn) && other == Other::Named,
        is_over_tls: is_other(conn) && other == Other::Tls,
        ..Way::default()
    };
    bench.open_all(
        all.clone().map(channel).collect(),
        all.clone().map(way).collect(),
    )?;
    let publishers = options.publishers.or(options.window).unwrap_or(PUBLISHERS);
    bench.net.open_http(publishers)?;
    bench.measure_idle()?;

    let mut deliveries = Deliveries::default();
    let mut costs = [const { Vec::new() }; 2];
    for round in 0..ROUNDS {
        for (index, name) in names.iter().enumerate() {
            let counted: Vec<Option<u32>> = all
                .clone()
                .map(|conn| (usize::from(is_other(conn)) == index).then_some(0))
                .collect();
            let channel = std::slice::from_ref(&channels[index]);
            let mut warmup = Load::new(channel, &counted, payload);
            warmup.run(&mut bench.net, pace, ns(options.warmup))?;
            let mut load = Load::new(channel, &counted, payload);
            let window = Window::open(&bench.server);
            let unpublished = load.run(&mut bench.net, pace, ns(options.seconds))?;
            let usage = window.close(&bench.server);
            let received = load.ledger.received;
            costs[index].push(usage.server.exact_ns as f64 / 1000.0 / received.max(1) as f64);
            let report = &mut bench.report;
            report.problem_count(
                unpublished,
                "scheduled events NOT PUBLISHED: the client was too late, or no publisher was free",
            );
            deliveries += load.ledger.deliveries();
            report.latency(&format!("{name}_latency_{round}"), &load.ledger.latency);
        }
    }
    let report = &mut bench.report;
    deliveries.report(report);
    report.set("rate_asked", rate);
    report.set("payload_bytes", payload);
    if bench.server.is_known() {
        let [of_socket, of_other] = &costs;
        report.turns("websocket_us_per_delivery", of_socket);
        let name = other.name();
        report.turns(&format!("{name}_us_per_delivery"), of_other);
        let ratios = of_socket.iter().zip(of_other).map(|(a, b)| b / a);
        report.turns(&format!("{name}_to_websocket"), &ratios.collect::<Vec<_>>());
    }
    report_connections(&bench.net, report);
    Ok(())
}
