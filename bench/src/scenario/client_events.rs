//! client-events: pairs of clients answer each other on a private channel per pair.

use super::{Bench, ns};
use crate::deliveries::report_connections;
use crate::net::{Delivery, Handler, Net};
use crate::pusher::{Mark, data_size, event_data};
use crate::report::{Latency, new_latency};
use crate::sys;
use crate::usage::Window;

const LOST_AFTER_NS: u64 = 2_000_000_000;

struct Pair {
    /// Round trips begun so far; the newest may be under way.
    begun: u64,
    under_way: bool,
    sent_at: u64,
}

/// Connections 2k and 2k+1 are pair k: the even one asks, the odd one answers.
struct Exchange<'a> {
    channels: &'a [String],
    payload: usize,
    pairs: Vec<Pair>,
    /// Least time between two events of one client.
    interval_ns: u64,
    opened_at: u64,
    end: u64,
    latency: Latency,
    delivered: u64,
    lost: u64,
    unexpected: u64,
}

impl<'a> Exchange<'a> {
    fn new(channels: &'a [String], payload: usize, interval_ns: u64) -> Self {
        let pair = |_| Pair {
            begun: 0,
            under_way: false,
            sent_at: 0,
        };
        Self {
            channels,
            payload,
            pairs: (0..channels.len()).map(pair).collect(),
            interval_ns,
            opened_at: 0,
            end: 0,
            latency: new_latency(),
            delivered: 0,
            lost: 0,
            unexpected: 0,
        }
    }

    fn send(&self, net: &mut Net, conn: usize, mark: Mark) {
        let data = event_data(mark, self.payload);
        let channel = &self.channels[conn / 2];
        let message = format!(r#"{{"event":"client-bench","channel":"{channel}","data":{data}}}"#);
        net.send_text(conn, &message);
    }

    /// Starts the next round trip of a pair. The lowest bit of a mark's number is the way.
    fn ask(&mut self, net: &mut Net, pair: usize, now: u64) {
        let state = &mut self.pairs[pair];
        let mark = Mark {
            channel: pair as u32,
            seq: state.begun * 2,
            sent_at: now,
        };
        state.begun += 1;
        state.under_way = true;
        state.sent_at = now;
        self.send(net, pair * 2, mark);
    }

    fn run(&mut self, net: &mut Net, duration_ns: u64) -> anyhow::Result<()> {
        self.opened_at = sys::now_ns();
        self.end = self.opened_at + duration_ns;
        // Spread the pairs over the interval instead of sending in one burst.
        let spread = self.interval_ns / self.pairs.len().max(1) as u64;
        let first_at = |pair: usize| self.opened_at + spread * pair as u64;
        let first_at: Vec<u64> = (0..self.pairs.len()).map(first_at).collect();
        loop {
            let now = sys::now_ns();
            let mut under_way = 0;
            for (pair, first_at) in first_at.iter().enumerate() {
                let state = &mut self.pairs[pair];
                if state.under_way && now.saturating_sub(state.sent_at) > LOST_AFTER_NS {
                    state.under_way = false;
                    self.lost += 1;
                }
                let due = (state.sent_at + self.interval_ns).max(*first_at);
                if !state.under_way && now < self.end && now >= due {
                    self.ask(net, pair, now);
                }
                under_way += u64::from(self.pairs[pair].under_way);
            }
            if now >= self.end && under_way == 0 {
                return Ok(());
            }
            let pause = if self.interval_ns > 0 {
                1_000_000
            } else {
                20_000_000
            };
            net.poll(pause, self)?;
        }
    }
}

impl Handler for Exchange<'_> {
    fn delivery(&mut self, net: &mut Net, conn: usize, event: Delivery<'_>, now: u64) {
        let mark = event.mark;
        if mark.sent_at < self.opened_at {
            return;
        }
        let (pair, answer) = (conn / 2, mark.seq & 1 == 1);
        let newest = self.pairs[pair].begun.saturating_sub(1);
        let asker = conn.is_multiple_of(2);
        if mark.channel as usize != pair || answer != asker || mark.seq / 2 != newest {
            self.unexpected += 1;
            return;
        }
        self.delivered += 1;
        if !answer {
            return self.send(
                net,
                conn,
                Mark {
                    seq: mark.seq + 1,
                    ..mark
                },
            );
        }
        if !std::mem::take(&mut self.pairs[pair].under_way) {
            self.unexpected += 1;
            return;
        }
        self.latency.saturating_record(now - mark.sent_at);
        if self.interval_ns == 0 && now < self.end {
            self.ask(net, pair, now);
        }
    }
}

pub(crate) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let options = bench.options.clone();
    let pairs = options.connections.unwrap_or(50);
    let payload = options.payload.unwrap_or(128);
    let rate = options.rate.unwrap_or(0.0);
    let interval_ns = if rate > 0.0 { (1e9 / rate) as u64 } else { 0 };
    let name = |pair| format!("private-bench-{}-{pair:06}", bench.run_id);
    let channels: Vec<String> = (0..pairs).map(name).collect();
    let of_conns = (0..pairs * 2).map(|conn| Some(channels[conn / 2].as_str()));
    bench.open_all(of_conns.collect(), Vec::new())?;
    bench.measure_idle()?;

    Exchange::new(&channels, payload, interval_ns).run(&mut bench.net, ns(options.warmup))?;
    let mut exchange = Exchange::new(&channels, payload, interval_ns);
    let window = Window::open(&bench.server);
    exchange.run(&mut bench.net, ns(options.seconds))?;
    let mut usage = window.close(&bench.server);
    if exchange.lost > 0 {
        usage.wall_ns = usage.wall_ns.min(ns(options.seconds));
    }

    let report = &mut bench.report;
    let round_trips = exchange.latency.len();
    report.set("pairs", pairs);
    report.set("rate_per_client", rate);
    report.set("payload_bytes", data_size(payload));
    report.set("round_trips", round_trips);
    report.set("round_trips_lost", exchange.lost);
    report.set("events_delivered", exchange.delivered);
    report.rate("events_per_s", exchange.delivered, usage.wall_ns);
    report.latency("round_trip", &exchange.latency);
    report.usage(&usage, &bench.server, &[("event", exchange.delivered)]);
    report.problem_count(exchange.lost, "round trips LOST (no answer within 2 s)");
    report.problem_count(
        exchange.unexpected,
        "events echoed, duplicated or misrouted",
    );
    report_connections(&bench.net, report);
    Ok(())
}
