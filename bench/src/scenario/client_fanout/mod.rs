//! client-fanout: the clients of one private channel send events, which must reach every other
//! one once and in order. HTTP publishes to the same channel, and channels that come and go, can
//! go on beside it.

mod tally;
mod traffic;

use serde_json::json;

use self::traffic::Traffic;
use super::{Bench, RunOptions, ns};
use crate::deliveries::report_connections;
use crate::pusher::data_size;
use crate::receiver::Counts;
use crate::report::Report;
use crate::usage::{Usage, Window};

/// What the relay may still be at when the generator has seen the last delivery: batches that
/// wait, requests under way, and some retries.
const REPORTED_WITHIN_S: f64 = 5.0;

/// Who sends what, and how often.
struct Plan {
    channel: String,
    clients: usize,
    payload: usize,
    /// Events a second of each client.
    rate: f64,
    /// HTTP publishes a second.
    publish_rate: f64,
    /// Channels a second that come and go.
    churn: f64,
}

impl Plan {
    fn new(options: &RunOptions, run_id: &str) -> anyhow::Result<Self> {
        let clients = options.connections.unwrap_or(50);
        anyhow::ensure!(clients > 1, "there must be two clients or more");
        Ok(Self {
            channel: format!("private-bench-{run_id}"),
            clients,
            payload: options.payload.unwrap_or(128),
            rate: options.rate.unwrap_or(5.0),
            publish_rate: options.publish_rate,
            churn: options.churn,
        })
    }
}

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let options = bench.options.clone();
    let plan = Plan::new(&options, &bench.run_id)?;
    bench.open_all(vec![Some(&plan.channel); plan.clients], Vec::new())?;
    // One alone, so that what it publishes has an order.
    bench.net.open_http(usize::from(plan.publish_rate > 0.0))?;
    bench.measure_idle()?;

    let mut warmup = Traffic::new(&plan);
    warmup.run(&mut bench.net, ns(options.warmup))?;
    let mut traffic = Traffic::new(&plan);
    let window = Window::open(&bench.server);
    let unpublished = traffic.run(&mut bench.net, ns(options.seconds))?;
    let mut usage = window.close(&bench.server);
    // A wait for deliveries that never came is no working time.
    let worked_ns = traffic.last_arrival.saturating_sub(traffic.started_at);
    usage.wall_ns = usage.wall_ns.min(worked_ns.max(ns(options.seconds)));

    let report = &mut bench.report;
    report.set("rate_per_client", plan.rate);
    report.set("payload_bytes", data_size(plan.payload));
    report_traffic(&traffic, unpublished, &usage, report);
    if plan.publish_rate > 0.0 {
        report_publishes(&traffic, &plan, report);
    }
    if plan.churn > 0.0 {
        report.set("channels_come_and_gone", traffic.channels);
    }
    let (received, sent) = (traffic.tally.received, traffic.tally.client_events());
    let units = [("delivery", received), ("event", sent)];
    report.usage(&usage, &bench.server, &units);
    report_connections(&bench.net, report);
    report_webhooks(bench, warmup.tally.client_events() + sent)
}

fn report_traffic(traffic: &Traffic, unpublished: u64, usage: &Usage, report: &mut Report) {
    let tally = &traffic.tally;
    report.set("client_events", tally.client_events());
    tally.report(report);
    report.rate("deliveries_per_s", tally.received, usage.wall_ns);
    report.latency("latency", &tally.latency);
    report.latency("send_lag", &traffic.send_lag);
    report.problem_count(
        unpublished,
        "scheduled events NOT PUBLISHED: no free publisher",
    );
}

fn report_publishes(traffic: &Traffic, plan: &Plan, report: &mut Report) {
    report.set("publish_rate_asked", plan.publish_rate);
    report.set("publishes_accepted", traffic.accepted);
    report.latency("publish_latency", &traffic.tally.publish_latency);
    report.latency("http_answer", &traffic.answer);
    report.latency("publish_lag", &traffic.publish_lag);
    for (refusal, count) in &traffic.refusals {
        report.problem(format!("{count} publishes refused: {refusal}"));
    }
    report.problem_count(traffic.unanswered, "publishes NEVER ANSWERED");
}

/// Whether the receiver, if there is one, was sent every client event once or more.
fn report_webhooks(bench: &mut Bench, sent: u64) -> anyhow::Result<()> {
    let Some(receiver) = bench.options.receiver else {
        return Ok(());
    };
    let enough = |counts: &Counts| counts.of("client_event") >= sent;
    let reported = bench.await_webhooks(receiver, REPORTED_WITHIN_S, enough)?;
    let missing = sent.saturating_sub(reported.of("client_event"));
    let report = &mut bench.report;
    report.set(
        "webhooks",
        json!({
            "requests": reported.requests,
            "client_events_sent": sent,
            "client_events_reported": reported.of("client_event"),
            "missing": missing,
        }),
    );
    report.problem_count(missing, "client events that NO WEBHOOK reported");
    Ok(())
}
