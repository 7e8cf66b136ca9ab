//! What a delivery costs, and how many bytes it is, to WebSockets that take events compressed and to those that do not:
//! both are there all the time, each on a channel of its own, and the events go to one and then to the other.

use std::fmt::Write as _;

use anyhow::ensure;

use super::{Bench, Way, ns};
use crate::deliveries::report_connections;
use crate::net::{Handler, Net, Outcome};
use crate::pusher::append_publish;
use crate::sys;
use crate::usage::Window;

/// The turns of each.
const ROUNDS: usize = 3;
const EVENT: &str = "bench-event";
/// How the text of every event begins.
const START: &str = r#"{"event":"bench-event""#;
/// After the last publish, how long without a delivery until the missing count as lost.
const QUIET_NS: u64 = 2_000_000_000;

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let options = bench.options.clone();
    let connections = options.connections.unwrap_or(1000);
    let rate = options.rate.unwrap_or(20.0);
    ensure!(connections > 0, "there must be connections");
    ensure!(rate > 0.0, "the rate must be above 0");
    let payload = options.payload.unwrap_or(2048);
    let names = ["plain", "compressed"];
    let channels = names.map(|name| format!("bench-{}-{name}", bench.run_id));
    let is_compressed = |conn: usize| conn >= connections;
    let all = 0..2 * connections;
    let channel = |conn| Some(channels[usize::from(is_compressed(conn))].as_str());
    let way = |conn| Way {
        takes_compressed: is_compressed(conn),
        ..Way::default()
    };
    bench.open_all(all.clone().map(channel).collect(), all.map(way).collect())?;
    bench.net.open_http(options.publishers.unwrap_or(1))?;
    bench.measure_idle()?;

    let mut events = Events::new(payload);
    let mut costs = [const { Vec::new() }; 2];
    let mut bytes = [const { Vec::new() }; 2];
    let interval_ns = (1e9 / rate) as u64;
    for _ in 0..ROUNDS {
        for (index, channel) in channels.iter().enumerate() {
            let mut flow = |bench: &mut Bench, seconds| {
                let mut flow = Flow::new(channel, connections as u64);
                flow.run(&mut bench.net, &mut events, interval_ns, ns(seconds))?;
                anyhow::Ok(flow)
            };
            flow(bench, options.warmup)?;
            let read_before = bench.net.counters.bytes_read;
            let window = Window::open(&bench.server);
            let flow = flow(bench, options.seconds)?;
            let usage = window.close(&bench.server);
            let read = bench.net.counters.bytes_read - read_before;
            let received = flow.received.max(1) as f64;
            costs[index].push(usage.server.exact_ns as f64 / 1000.0 / received);
            bytes[index].push(read as f64 / received);
            let expected = flow.accepted * connections as u64;
            let report = &mut bench.report;
            report.problem_count(expected.saturating_sub(flow.received), "deliveries LOST");
            report.problem_count(
                flow.received.saturating_sub(expected),
                "deliveries DUPLICATED",
            );
            report.problem_count(flow.refused, "publishes refused");
            let wrong = if index == 0 {
                flow.deflated
            } else {
                flow.plain
            };
            report.problem_count(wrong, "deliveries in the wrong form");
        }
    }
    let report = &mut bench.report;
    report.set("rate_asked", rate);
    report.set("payload_bytes", payload);
    let ratios = |of: &[Vec<f64>; 2]| -> Vec<f64> {
        let pairs = of[0].iter().zip(&of[1]);
        pairs
            .map(|(plain, compressed)| compressed / plain)
            .collect()
    };
    for (name, bytes) in names.iter().zip(&bytes) {
        report.turns(&format!("{name}_bytes_per_delivery"), bytes);
    }
    report.turns("bytes_to_plain", &ratios(&bytes));
    if bench.server.is_known() {
        for (name, costs) in names.iter().zip(&costs) {
            report.turns(&format!("{name}_us_per_delivery"), costs);
        }
        report.turns("cpu_to_plain", &ratios(&costs));
    }
    report_connections(&bench.net, report);
    Ok(())
}

/// Data of events such as applications publish: the same words again and again, and values that differ.
struct Events {
    bytes: usize,
    random: u64,
}

impl Events {
    fn new(bytes: usize) -> Self {
        Self {
            bytes,
            random: sys::now_ns() | 1,
        }
    }

    fn number(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) % below
    }

    fn data(&mut self) -> String {
        let mut data = String::with_capacity(self.bytes + 256);
        let _ = write!(data, r#"{{"order_id":{},"items":["#, self.number(1 << 40));
        while data.len() + 250 < self.bytes {
            let _ = write!(
                data,
                r#"{{"id":{},"sku":"{:08x}","name":"Article {}","quantity":{},"price":"{}.{:02}","currency":"EUR","updated_at":"2026-{:02}-{:02}T{:02}:{:02}:{:02}.000000Z"}},"#,
                self.number(1 << 24),
                self.number(1 << 32),
                self.number(500),
                self.number(20) + 1,
                self.number(900),
                self.number(100),
                self.number(12) + 1,
                self.number(28) + 1,
                self.number(24),
                self.number(60),
                self.number(60),
            );
        }
        let _ = write!(data, r#"null],"note":""#);
        while data.len() + 2 < self.bytes {
            data.push(char::from(b'a' + self.number(26) as u8));
        }
        data.push_str("\"}");
        data
    }
}

/// Events at a rate to one channel, and what has come of them.
struct Flow<'a> {
    channel: &'a str,
    subscribers: u64,
    accepted: u64,
    refused: u64,
    unanswered: u64,
    received: u64,
    /// Of these, those that came compressed, and those that did not.
    deflated: u64,
    plain: u64,
    last_arrival: u64,
}

impl<'a> Flow<'a> {
    fn new(channel: &'a str, subscribers: u64) -> Self {
        Self {
            channel,
            subscribers,
            accepted: 0,
            refused: 0,
            unanswered: 0,
            received: 0,
            deflated: 0,
            plain: 0,
            last_arrival: 0,
        }
    }

    fn run(
        &mut self,
        net: &mut Net,
        events: &mut Events,
        interval_ns: u64,
        duration_ns: u64,
    ) -> anyhow::Result<()> {
        let mut due = sys::now_ns();
        let end = due + duration_ns;
        self.last_arrival = due;
        loop {
            let now = sys::now_ns();
            if due < end && due <= now && net.http_idle() > 0 {
                let mut body = String::new();
                append_publish(EVENT, self.channel, &events.data(), false, &mut body);
                self.unanswered += 1;
                net.post(0, "/events", &body)?;
                due += interval_ns;
            }
            if due >= end {
                let is_complete = self.received >= self.accepted * self.subscribers;
                let is_quiet = now.saturating_sub(self.last_arrival.max(end)) > QUIET_NS;
                if (self.unanswered == 0 && is_complete) || is_quiet {
                    return Ok(());
                }
            }
            let wait = due.saturating_sub(now).clamp(1, 10_000_000);
            net.poll(wait, self)?;
        }
    }
}

impl Handler for Flow<'_> {
    fn text(&mut self, _conn: usize, text: &[u8], now: u64) -> bool {
        let is_event = text.starts_with(START.as_bytes());
        if is_event {
            self.received += 1;
            self.plain += 1;
            self.last_arrival = now;
        }
        is_event
    }

    fn deflated(&mut self, _conn: usize, now: u64) {
        self.received += 1;
        self.deflated += 1;
        self.last_arrival = now;
    }

    fn response(&mut self, _net: &mut Net, _tag: u64, outcome: Outcome<'_>, _now: u64) {
        self.unanswered -= 1;
        match outcome.refusal() {
            None => self.accepted += 1,
            Some(_) => self.refused += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_json_of_the_size_asked_for() {
        let mut events = Events::new(2048);
        for _ in 0..100 {
            let data = events.data();
            assert_eq!(data.len(), 2048);
            serde_json::from_str::<serde_json::Value>(&data).unwrap();
        }
    }
}
