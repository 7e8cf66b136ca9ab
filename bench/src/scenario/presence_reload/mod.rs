//! presence-reload: all members of a presence channel leave and are back at once, again and
//! again, while observers watch them and a health path is asked. No webhook is to report it.

mod crowd;
mod frames;
mod observers;

use std::net::SocketAddrV4;

use serde_json::json;

use self::crowd::Crowd;
use super::probe::Probe;
use super::{Bench, ns};
use crate::deliveries::report_connections;
use crate::receiver::Counts;
use crate::sys;
use crate::usage::Window;

/// Joins under way at once when the members come for the first time.
const FIRST_INFLIGHT: usize = 64;
/// Until when webhooks must have reported these joins.
const REPORTED_WITHIN_S: f64 = 10.0;
/// Longer than a server holds back webhooks to see who returns (Fanfare: leave_delay_ms = 3000).
const HELD_BACK_S: f64 = 4.0;

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let options = bench.options.clone();
    let members = options.connections.unwrap_or(1000);
    let inflight = options.inflight.unwrap_or(members);
    anyhow::ensure!(members > 0 && inflight > 0, "there must be members");
    let channel = format!("presence-bench-{}", bench.run_id);
    let mut crowd = Crowd::new(channel, members, options.observers);
    crowd.all_join(&mut bench.net, FIRST_INFLIGHT)?;
    let first_joins = await_first_joins(bench, options.receiver, &crowd)?;
    bench.measure_idle()?;

    crowd.forget_figures();
    let probe = Probe::start(bench.net.server, &options.probe_path);
    let window = Window::open(&bench.server);
    let until = sys::now_ns() + ns(options.seconds);
    while crowd.figures.reloads == 0 || sys::now_ns() < until {
        crowd.reload(&mut bench.net, inflight)?;
    }
    let usage = window.close(&bench.server);
    let probe = probe.finish();

    let report = &mut bench.report;
    report.set("members", members);
    report.set("observers", options.observers);
    report.set("inflight", inflight);
    crowd.report(report);
    probe.report(report);
    let figures = &crowd.figures;
    let units = [
        ("return", figures.returns),
        ("announcement", figures.announcements),
    ];
    report.usage(&usage, &bench.server, &units);
    report_connections(&bench.net, report);
    report_webhooks(bench, &crowd, options.receiver.zip(first_joins))
}

/// What the receiver, if there is one, was sent once all had come.
fn await_first_joins(
    bench: &mut Bench,
    receiver: Option<SocketAddrV4>,
    crowd: &Crowd,
) -> anyhow::Result<Option<Counts>> {
    let Some(receiver) = receiver else {
        return Ok(None);
    };
    let all = crowd.size() as u64;
    let enough = |counts: &Counts| counts.of("member_added") >= all;
    let reported = bench.await_webhooks(receiver, REPORTED_WITHIN_S, enough)?;
    Ok(Some(reported))
}

/// What the receiver was sent while nobody came or went but to come back.
fn report_webhooks(
    bench: &mut Bench,
    crowd: &Crowd,
    before: Option<(SocketAddrV4, Counts)>,
) -> anyhow::Result<()> {
    let Some((receiver, before)) = before else {
        return Ok(());
    };
    bench.idle(HELD_BACK_S)?;
    let after = crate::receiver::ask(receiver)?;
    let unknown = (crowd.size() as u64).saturating_sub(before.of("member_added"));
    let caused = after.all() - before.all();
    let report = &mut bench.report;
    report.set(
        "webhooks",
        json!({
            "of_first_joins": before.events,
            "first_joins_missing": unknown,
            "caused_by_reload": caused,
        }),
    );
    report.problem_count(unknown, "first joins that NO WEBHOOK reported");
    report.problem_count(
        caused,
        "webhook events of members who had not left for longer than a reload takes",
    );
    if crowd.figures.longest_away_s() > HELD_BACK_S - 1.0 {
        report.note("some members were away for so long that webhooks may have reported it");
    }
    Ok(())
}
