//! connect: how fast connections open and subscribe, and what an idle one costs.

use super::{Bench, Opener};
use crate::deliveries::report_connections;
use crate::report::memory_json;
use crate::sys;
use crate::usage::{Window, slab_kib, tcp_buffers_kib};

pub(crate) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let connections = bench.options.connections.unwrap_or(10_000);
    let inflight = bench.options.inflight.unwrap_or(256).max(1);
    let channel = format!("bench-{}-idle", bench.run_id);

    bench.idle(0.2)?;
    let before = bench.server.memory();
    let (tcp_before, slab_before) = (tcp_buffers_kib(), slab_kib());
    let mut opener = Opener::new(vec![Some(&channel); connections], inflight);
    let started = sys::now_ns();
    let window = Window::open(&bench.server);
    opener.run(&mut bench.net)?;
    let mut usage = window.close(&bench.server);
    if opener.last_finish > started {
        usage.wall_ns = opener.last_finish - started;
    }
    let opened = opener.finished as u64;
    let at_once = bench.server.memory();

    let hold = Window::open(&bench.server);
    bench.idle(bench.options.hold)?;
    let held = hold.close(&bench.server);
    let after = bench.server.memory();
    let (tcp_after, slab_after) = (tcp_buffers_kib(), slab_kib());
    let still_open = (0..bench.net.ws_count())
        .filter(|conn| bench.net.is_open(*conn))
        .count() as u64;

    let report = &mut bench.report;
    report.set("connections", opened);
    report.set("inflight", inflight);
    report.rate("connections_per_s", opened, usage.wall_ns);
    report.latency("established", &opener.established);
    report.latency("subscribed", &opener.subscribed);
    report.usage(&usage, &bench.server, &[("connection", opened)]);
    if bench.server.is_known() && still_open > 0 {
        let per = |after: u64, before: u64| {
            let kib = (after as f64 - before as f64) / still_open as f64;
            (kib * 100.0).round() / 100.0
        };
        report.set("kib_per_connection_rss", per(after.rss_kib, before.rss_kib));
        report.set("kib_per_connection_pss", per(after.pss_kib, before.pss_kib));
        report.set("memory_before", memory_json(before));
        report.set("memory_just_opened", memory_json(at_once));
        report.set("memory_after_hold", memory_json(after));
        report.set("hold_s", (held.wall_ns as f64 / 1e8).round() / 10.0);
        let idle = held.server.exact_ns as f64 / held.wall_ns as f64 * 1e6;
        report.set("server_idle_us_per_s", idle.round());
        report.note_unless_fresh(before);
    }
    report.set(
        "tcp_buffers_growth_kib",
        tcp_after as i64 - tcp_before as i64,
    );
    report.set(
        "kernel_slab_growth_kib",
        slab_after as i64 - slab_before as i64,
    );
    report.problem_count(opener.failed as u64, "connections FAILED");
    report.problem_count(
        opened.saturating_sub(still_open),
        "connections lost while idle",
    );
    report_connections(&bench.net, report);
    Ok(())
}
