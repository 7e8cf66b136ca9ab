//! What subscribers notice of sessions whose clients are away from the same channel, and what these take.

use anyhow::ensure;

use super::load::{Load, Pace};
use super::{Bench, Way, ns};
use crate::deliveries::Deliveries;

/// Subscribers that are there all the time.
const HEALTHY: usize = 200;

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let options = bench.options.clone();
    let parked = options.connections.unwrap_or(10_000);
    let rate = options.rate.unwrap_or(100.0);
    ensure!(parked > 0, "there must be connections");
    ensure!(rate > 0.0, "the rate must be above 0");
    let pace = Pace::Open {
        interval_ns: (1e9 / rate) as u64,
    };
    let payload = options.payload.unwrap_or(128);
    let channel = format!("bench-{}", bench.run_id);
    bench.net.open_http(options.publishers.unwrap_or(1))?;
    let mut deliveries = Deliveries::default();
    for stage in ["alone", "beside"] {
        if stage == "beside" {
            let named = Way {
                is_named: true,
                ..Way::default()
            };
            bench.open_all(vec![Some(channel.as_str()); parked], vec![named; parked])?;
            report_memory(bench, "connected");
            bench.net.drop_all_ws();
            bench.idle(1.0)?;
            report_memory(bench, "parked");
        }
        bench.open_all(vec![Some(channel.as_str()); HEALTHY], Vec::new())?;
        let counted = vec![Some(0); HEALTHY];
        let channels = std::slice::from_ref(&channel);
        let mut warmup = Load::new(channels, &counted, payload);
        warmup.run(&mut bench.net, pace, ns(options.warmup))?;
        let mut load = Load::new(channels, &counted, payload);
        let unpublished = load.run(&mut bench.net, pace, ns(options.seconds))?;
        bench
            .report
            .problem_count(unpublished, "scheduled events NOT PUBLISHED");
        bench
            .report
            .latency(&format!("latency_{stage}"), &load.ledger.latency);
        deliveries += load.ledger.deliveries();
        report_memory(bench, &format!("after_{stage}"));
        bench.net.drop_all_ws();
        bench.idle(0.5)?;
    }
    deliveries.report(&mut bench.report);
    bench.report.set("rate_asked", rate);
    Ok(())
}

fn report_memory(bench: &mut Bench, when: &str) {
    if bench.server.is_known() {
        let memory = bench.server.memory();
        bench.report.set(&format!("rss_kib_{when}"), memory.rss_kib);
    }
}
