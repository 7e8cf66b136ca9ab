//! bystander, cross-node and capacity: servers that are one, or one alone to compare them with.

mod capacity;
mod plan;
mod shares;
mod traffic;

use anyhow::ensure;
use serde_json::{Value, json};

use self::capacity::Found;
use self::plan::Plan;
use self::shares::{Sample, Shares};
use self::traffic::Traffic;
use super::{Bench, Scenario, ns};
use crate::deliveries::{Deliveries, report_connections};
use crate::pusher::data_size;
use crate::report::{Report, latency_json};
use crate::usage::{Usage, Window};

/// A rate is held while the slowest of a hundred deliveries takes no longer than this.
const HELD_P99_NS: u64 = 50_000_000;
/// What other programs may use of the machine while a rate is judged.
const DISTURBING_CORES: f64 = 0.2;
/// Subscribers of each channel in the capacity scenario.
const PER_CHANNEL: usize = 9;

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let options = bench.options.clone();
    let payload = options.payload.unwrap_or(128);
    let count = |default| options.connections.unwrap_or(default);
    let (nodes, run_id) = (&bench.servers, &bench.run_id);
    let (plan, rate) = match options.scenario {
        Scenario::Bystander => (Plan::bystander(nodes, run_id, count(100), payload)?, 1000.0),
        Scenario::CrossNode => (Plan::cross_node(nodes, run_id, count(20), payload), 100.0),
        _ => {
            let listeners = count(900);
            let channels = (listeners / PER_CHANNEL).max(1);
            let plan = Plan::spread(nodes, run_id, listeners, channels, payload);
            (plan, 1000.0)
        }
    };
    let rate = options.rate.unwrap_or(rate);
    ensure!(rate > 0.0, "the rate must be above 0");
    let shares = Shares::new(&options.pid, plan.nodes.len())?;
    open(bench, &plan)?;

    let report = &mut bench.report;
    report.set("nodes", plan.nodes.len());
    report.set("channels", plan.channels.len());
    report.set("payload_bytes", data_size(payload));
    report.set("publishers", plan.publishers * plan.published_at().len());
    Traffic::new(&plan).run(&mut bench.net, rate, ns(options.warmup))?;
    match options.scenario {
        Scenario::Capacity => search(bench, &plan, &shares, rate)?,
        _ => steady(bench, &plan, &shares, rate)?,
    }
    report_connections(&bench.net, &mut bench.report);
    Ok(())
}

fn open(bench: &mut Bench, plan: &Plan) -> anyhow::Result<()> {
    let (channels, ways) = plan.connections();
    bench.open_all(channels, ways)?;
    for node in plan.published_at() {
        bench.net.open_http_at(*node, plan.publishers)?;
    }
    bench.measure_idle()
}

/// One rate for a while.
struct Step<'a> {
    rate: f64,
    traffic: Traffic<'a>,
    unpublished: u64,
    usage: Usage,
    before: Sample,
    after: Sample,
}

impl<'a> Step<'a> {
    fn run(bench: &mut Bench, plan: &'a Plan, shares: &Shares, rate: f64) -> anyhow::Result<Self> {
        let duration = ns(bench.options.seconds);
        let mut traffic = Traffic::new(plan);
        let before = shares.sample();
        let window = Window::open(&bench.server);
        let unpublished = traffic.run(&mut bench.net, rate, duration)?;
        let mut usage = window.close(&bench.server);
        let after = shares.sample();
        // A wait for deliveries that never came is no working time.
        let worked_ns = traffic.last_arrival.saturating_sub(traffic.started_at);
        usage.wall_ns = usage.wall_ns.min(worked_ns.max(duration));
        Ok(Self {
            rate,
            traffic,
            unpublished,
            usage,
            before,
            after,
        })
    }

    fn p99_from_schedule(&self) -> u64 {
        let latency = &self.traffic.ledger.latency_from_schedule;
        latency.value_at_quantile(0.99)
    }

    fn deliveries(&self) -> Deliveries {
        self.traffic.ledger.deliveries()
    }

    /// Everything that was due was published and accepted, and is there, in time.
    fn is_held(&self) -> bool {
        let all = self.unpublished + self.traffic.unanswered + self.deliveries().lost == 0;
        all && self.traffic.refusals.is_empty() && self.p99_from_schedule() <= HELD_P99_NS
    }

    fn report(&self, bench: &mut Bench, shares: &Shares, idle: &[f64]) {
        let (traffic, ledger) = (&self.traffic, &self.traffic.ledger);
        let report = &mut bench.report;
        report.set("rate_asked", self.rate);
        report.set("events_accepted", ledger.accepted);
        report.rate("events_per_s", ledger.accepted, self.usage.wall_ns);
        report.rate("deliveries_per_s", ledger.received, self.usage.wall_ns);
        report.latency("latency", &ledger.latency);
        report.latency("latency_from_schedule", &ledger.latency_from_schedule);
        report.latency("http_answer", &traffic.answer);
        let units = [("delivery", ledger.received), ("event", ledger.accepted)];
        report.usage(&self.usage, &bench.server, &units);
        if bench.server.is_known() {
            let shares = shares.report(&self.before, &self.after, idle, ledger.accepted);
            report.set("shares", shares);
        }
    }
}

/// One rate for as long as it was idle before: what the publishes cost every node.
fn steady(bench: &mut Bench, plan: &Plan, shares: &Shares, rate: f64) -> anyhow::Result<()> {
    let before = shares.sample();
    bench.idle(bench.options.seconds)?;
    let idle = shares.rates(&before, &shares.sample());
    let step = Step::run(bench, plan, shares, rate)?;
    step.report(bench, shares, &idle);
    let report = &mut bench.report;
    step.deliveries().report(report);
    for (refusal, count) in &step.traffic.refusals {
        report.problem(format!("{count} publishes refused: {refusal}"));
    }
    report.problem_count(step.traffic.unanswered, "publishes NEVER ANSWERED");
    report.problem_count(
        step.unpublished,
        "scheduled events NOT PUBLISHED: no free publisher",
    );
    report_by_node(&step.traffic, report);
    Ok(())
}

/// From publish to receive on each node that has subscribers, and how much later the last of
/// them have it than the first node, by their medians.
fn report_by_node(traffic: &Traffic, report: &mut Report) {
    let latencies = &traffic.latency_at;
    let by_node: serde_json::Map<String, Value> = (1..)
        .zip(latencies)
        .map(|(number, latency)| (format!("node_{number}"), latency_json(latency)))
        .collect();
    report.set("latency_by_node", by_node);
    let median = |latency: &crate::report::Latency| latency.value_at_quantile(0.5) as f64;
    let near = &latencies[0];
    let far = latencies[1..].iter().rfind(|latency| !latency.is_empty());
    if let Some(far) = far
        && !near.is_empty()
    {
        let later = (median(far) - median(near)) / 1000.0;
        report.set("p50_later_on_other_node_us", later.round());
    }
}

/// Ever higher rates, until one is not held.
fn search(bench: &mut Bench, plan: &Plan, shares: &Shares, first: f64) -> anyhow::Result<()> {
    let mut all = Deliveries::default();
    let mut steps = Vec::new();
    let held = capacity::search(first, |rate| {
        let step = Step::run(bench, plan, shares, rate)?;
        let is_held = step.is_held();
        let others = step.usage.other_cores();
        steps.push(json!({
            "rate": rate.round(),
            "held": is_held,
            "latency_from_schedule": latency_json(&step.traffic.ledger.latency_from_schedule),
            "unpublished": step.unpublished,
            "refused": step.traffic.refusals,
            "client_cores": step.usage.cores(step.usage.client_ns),
            "server_cores": step.usage.cores(step.usage.server.exact_ns),
            "other_cores": others,
        }));
        let mut deliveries = step.deliveries();
        // A server that refuses what is too much is right to do so.
        deliveries.refused = 0;
        all += deliveries;
        let unanswered = step.traffic.unanswered;
        bench
            .report
            .problem_count(unanswered, "publishes NEVER ANSWERED");
        Ok(if is_held {
            Found::Held(step)
        } else if others > DISTURBING_CORES {
            Found::Disturbed
        } else {
            Found::NotHeld
        })
    })?;
    match held {
        Some(step) => step.report(bench, shares, &[]),
        None => bench.report.problem("not even the first rate was held"),
    }
    bench.report.set("steps", steps);
    all.report(&mut bench.report);
    Ok(())
}
