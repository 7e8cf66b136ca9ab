//! presence: members join one presence channel; every one must come to know all others.

use serde_json::Value;

use super::{Bench, Ignore, ns};
use crate::deliveries::report_connections;
use crate::net::{Handler, Net, inner_json};
use crate::report::{Latency, new_latency};
use crate::sys;
use crate::usage::{Usage, Window};

/// Without news for this long, what is missing counts as never coming.
const QUIET_NS: u64 = 1_000_000_000;

/// Sums over all rounds.
struct Totals {
    rounds: u64,
    joins: u64,
    /// Ordered pairs of members of which the first must come to know the second.
    pairs: u64,
    /// Of these, where the first had joined before the second asked to: beyond excuse.
    earlier_missing: u64,
    /// And where both were joining at the same time.
    concurrent_missing: u64,
    added: u64,
    /// member_added for a member already known.
    added_again: u64,
    /// member_added before the member's own subscription_succeeded.
    added_early: u64,
    unknown_members: u64,
    join_latency: Latency,
    /// From the sending of a join to each other member's member_added.
    added_latency: Latency,
}

struct Round<'a> {
    channel: String,
    members: usize,
    inflight: usize,
    /// `known[i * members + j]`: member i knows member j.
    known: Vec<bool>,
    missing: usize,
    sent_at: Vec<u64>,
    /// When each got its subscription_succeeded.
    joined_at: Vec<Option<u64>>,
    under_way: usize,
    last_change: u64,
    totals: &'a mut Totals,
}

impl Round<'_> {
    /// Notes that `member` knows `other`: the other's number, and whether that was news.
    fn learn(&mut self, member: usize, other: &Value) -> Option<(usize, bool)> {
        let other = match other {
            Value::String(text) => text.parse().ok(),
            number => number.as_u64().map(|n| n as usize),
        };
        let Some(other) = other.filter(|other| *other < self.members) else {
            self.totals.unknown_members += 1;
            return None;
        };
        let known = &mut self.known[member * self.members + other];
        let news = !std::mem::replace(known, true);
        self.missing -= usize::from(news && other != member);
        Some((other, news))
    }

    /// Sorts the pairs still missing at the end of the round.
    fn count_missing(&mut self) {
        for member in 0..self.members {
            for other in (0..self.members).filter(|other| *other != member) {
                if self.known[member * self.members + other] {
                    continue;
                }
                match (self.joined_at[member], self.sent_at.get(other)) {
                    (Some(joined), Some(sent)) if joined <= *sent => {
                        self.totals.earlier_missing += 1;
                    }
                    _ => self.totals.concurrent_missing += 1,
                }
            }
        }
    }

    fn run(&mut self, net: &mut Net) -> anyhow::Result<()> {
        self.last_change = sys::now_ns();
        loop {
            while self.sent_at.len() < self.members && self.under_way < self.inflight {
                let member = self.sent_at.len();
                let data = format!("{{\"user_id\":\"{member}\",\"user_info\":{{\"n\":{member}}}}}");
                self.sent_at.push(sys::now_ns());
                self.under_way += 1;
                net.subscribe(member, &self.channel, Some(&data));
            }
            let all_joined = self.joined_at.iter().all(Option::is_some);
            let quiet = sys::now_ns().saturating_sub(self.last_change) > QUIET_NS;
            if (all_joined && self.missing == 0) || quiet {
                return Ok(());
            }
            net.poll(50_000_000, self)?;
        }
    }
}

impl Handler for Round<'_> {
    fn control(&mut self, _net: &mut Net, conn: usize, event: &str, message: &Value) {
        if message["channel"] != self.channel.as_str() {
            return;
        }
        let now = sys::now_ns();
        let data = inner_json(&message["data"]);
        match event {
            "pusher_internal:subscription_succeeded" => {
                let ids = data["presence"]["ids"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default();
                for id in &ids {
                    self.learn(conn, id);
                }
                self.totals
                    .join_latency
                    .saturating_record(now - self.sent_at[conn]);
                self.totals.joins += 1;
                self.joined_at[conn] = Some(now);
                self.under_way -= 1;
            }
            "pusher_internal:member_added" => {
                self.totals.added += 1;
                self.totals.added_early += u64::from(self.joined_at[conn].is_none());
                if let Some((other, news)) = self.learn(conn, &data["user_id"]) {
                    self.totals.added_again += u64::from(!news);
                    if let Some(sent_at) = self.sent_at.get(other) {
                        self.totals.added_latency.saturating_record(now - sent_at);
                    }
                }
            }
            _ => return,
        }
        self.last_change = now;
    }
}

pub(crate) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let members = bench.options.connections.unwrap_or(100);
    let inflight = bench.options.inflight.unwrap_or(16).max(1);
    bench.open_all(vec![None; members], Vec::new())?;
    bench.measure_idle()?;

    let mut totals = Totals {
        rounds: 0,
        joins: 0,
        pairs: 0,
        earlier_missing: 0,
        concurrent_missing: 0,
        added: 0,
        added_again: 0,
        added_early: 0,
        unknown_members: 0,
        join_latency: new_latency(),
        added_latency: new_latency(),
    };
    let mut usage = Usage::none();
    let until = sys::now_ns() + ns(bench.options.seconds);
    while totals.rounds == 0 || sys::now_ns() < until {
        let mut round = Round {
            channel: format!("presence-bench-{}-{}", bench.run_id, totals.rounds),
            members,
            inflight,
            known: vec![false; members * members],
            missing: members * (members - 1),
            sent_at: Vec::with_capacity(members),
            joined_at: vec![None; members],
            under_way: 0,
            last_change: 0,
            totals: &mut totals,
        };
        let window = Window::open(&bench.server);
        round.run(&mut bench.net)?;
        let mut used = window.close(&bench.server);
        round.count_missing();
        let (missing, channel) = (round.missing, round.channel);
        if missing > 0 {
            // The wait for what never came is no working time.
            used.wall_ns = used.wall_ns.saturating_sub(QUIET_NS).max(1);
        }
        usage += used;
        totals.rounds += 1;
        totals.pairs += (members * (members - 1)) as u64;

        // Leave, outside the measured window, and let the member_removed events run out.
        for member in 0..members {
            bench.net.unsubscribe(member, &channel);
            bench.net.poll(0, &mut Ignore)?;
        }
        bench.idle(0.1)?;
    }

    report(bench, &totals, &usage, members, inflight);
    Ok(())
}

fn report(bench: &mut Bench, totals: &Totals, usage: &Usage, members: usize, inflight: usize) {
    let report = &mut bench.report;
    report.set("rounds", totals.rounds);
    report.set("inflight", inflight);
    report.set("joins", totals.joins);
    report.rate("joins_per_s", totals.joins, usage.wall_ns);
    report.set("member_added", totals.added);
    report.rate("member_added_per_s", totals.added, usage.wall_ns);
    report.set("pairs_expected", totals.pairs);
    report.set("pairs_missing_earlier", totals.earlier_missing);
    report.set("pairs_missing_concurrent", totals.concurrent_missing);
    report.set("member_added_again", totals.added_again);
    report.set("member_added_before_own_success", totals.added_early);
    report.latency("join_latency", &totals.join_latency);
    report.latency("member_added_latency", &totals.added_latency);
    let units = [("join", totals.joins), ("member_added", totals.added)];
    report.usage(usage, &bench.server, &units);
    report.problem_count(
        totals.earlier_missing,
        "times an earlier member was NEVER NOTIFIED of a join",
    );
    report.problem_count(
        totals.concurrent_missing,
        "times one of two members joining together NEVER LEARNED of the other",
    );
    report.problem_count(totals.unknown_members, "members reported that never joined");
    report.problem_count(
        totals.rounds * members as u64 - totals.joins,
        "joins FAILED",
    );
    if totals.added_again > 0 {
        report.note("some members were notified of one they had already found in the member list");
    }
    report_connections(&bench.net, report);
}
