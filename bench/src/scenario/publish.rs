//! publish and batch-publish: HTTP throughput with nobody listening.

use std::collections::BTreeMap;

use super::{Bench, ns};
use crate::deliveries::report_connections;
use crate::net::{Handler, Net, Outcome};
use crate::pusher::{Mark, append_publish, data_size, event_data};
use crate::report::{Latency, new_latency};
use crate::sys;
use crate::usage::Window;

const UNANSWERED_AFTER_NS: u64 = 5_000_000_000;

struct Requests {
    channel: String,
    payload: usize,
    batch: u64,
    sent_at: Vec<u64>,
    latency: Latency,
    refusals: BTreeMap<String, u64>,
    accepted: u64,
    in_flight: u64,
}

impl Requests {
    fn send(&mut self, net: &mut Net) -> anyhow::Result<()> {
        let tag = self.sent_at.len() as u64;
        let now = sys::now_ns();
        self.sent_at.push(now);
        let mut body = String::with_capacity((self.payload + 160) * self.batch as usize);
        let batched = self.batch > 1;
        if batched {
            body.push_str("{\"batch\":[");
        }
        for index in 0..self.batch {
            if index > 0 {
                body.push(',');
            }
            let mark = Mark {
                channel: 0,
                seq: tag * self.batch + index,
                sent_at: now,
            };
            let data = event_data(mark, self.payload);
            append_publish("bench-event", &self.channel, &data, batched, &mut body);
        }
        if batched {
            body.push_str("]}");
        }
        self.in_flight += 1;
        net.post(
            tag,
            if batched { "/batch_events" } else { "/events" },
            &body,
        )
    }

    fn run(&mut self, net: &mut Net, duration_ns: u64) -> anyhow::Result<()> {
        let end = sys::now_ns() + duration_ns;
        loop {
            let now = sys::now_ns();
            while now < end && net.http_idle() > 0 {
                self.send(net)?;
            }
            if now >= end && (self.in_flight == 0 || now > end + UNANSWERED_AFTER_NS) {
                return Ok(());
            }
            net.poll(10_000_000, self)?;
        }
    }
}

impl Handler for Requests {
    fn response(&mut self, _net: &mut Net, tag: u64, outcome: Outcome<'_>, now: u64) {
        self.in_flight -= 1;
        self.latency
            .saturating_record(now - self.sent_at[tag as usize]);
        match outcome.refusal() {
            None => self.accepted += 1,
            Some(refusal) => *self.refusals.entry(refusal).or_default() += 1,
        }
    }
}

pub(crate) fn run(bench: &mut Bench, batch: u64) -> anyhow::Result<()> {
    let options = bench.options.clone();
    let publishers = options.publishers.or(options.connections).unwrap_or(16);
    let payload = options.payload.unwrap_or(128);
    let new = || Requests {
        channel: format!("bench-{}-none", bench.run_id),
        payload,
        batch,
        sent_at: Vec::new(),
        latency: new_latency(),
        refusals: BTreeMap::new(),
        accepted: 0,
        in_flight: 0,
    };
    let (mut warmup, mut requests) = (new(), new());
    bench.net.open_http(publishers)?;
    bench.measure_idle()?;
    warmup.run(&mut bench.net, ns(options.warmup))?;
    anyhow::ensure!(
        warmup.in_flight == 0,
        "the server left warm-up requests unanswered"
    );

    let connects_before = bench.net.counters.http_connects;
    let window = Window::open(&bench.server);
    requests.run(&mut bench.net, ns(options.seconds))?;
    let usage = window.close(&bench.server);

    let report = &mut bench.report;
    report.set("publishers", publishers);
    report.set("events_per_request", batch);
    report.set("payload_bytes", data_size(payload));
    report.set("requests_accepted", requests.accepted);
    report.rate("requests_per_s", requests.accepted, usage.wall_ns);
    report.rate("events_per_s", requests.accepted * batch, usage.wall_ns);
    report.latency("latency", &requests.latency);
    let accepted = requests.accepted;
    report.usage(
        &usage,
        &bench.server,
        &[("request", accepted), ("event", accepted * batch)],
    );
    report.problem_count(requests.in_flight, "requests NEVER ANSWERED");
    for (refusal, count) in &requests.refusals {
        report.problem(format!("{count} requests refused: {refusal}"));
    }
    let reconnects = bench.net.counters.http_connects - connects_before;
    if reconnects > 0 {
        report.note(format!(
            "the server closed publisher connections: {reconnects} new ones in the window"
        ));
    }
    report_connections(&bench.net, report);
    Ok(())
}
