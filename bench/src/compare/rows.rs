//! The rows of the table: which figure each one takes from the reports, and what Fanfare
//! promises of it.

use serde::Serialize;

use super::{Run, Subject};
use crate::report::median;

/// What holds for Fanfare's figure.
#[derive(Clone, Copy)]
enum Target {
    TimesBaseAtMost(f64),
    TimesBaseAtLeast(f64),
    AtMost(f64),
    AtLeast(f64),
    /// Nothing is promised of it.
    Open,
}

impl Target {
    fn text(self, base: Subject) -> String {
        let base = if base == Subject::Floor {
            "floor"
        } else {
            "base"
        };
        match self {
            Target::TimesBaseAtMost(bound) => format!("≤ {bound} × {base}"),
            Target::TimesBaseAtLeast(bound) => format!("≥ {bound} × {base}"),
            Target::AtMost(bound) => format!("≤ {bound}"),
            Target::AtLeast(bound) => format!("≥ {bound}"),
            Target::Open => "–".to_string(),
        }
    }

    fn met(self, fanfare: Option<f64>, ratio: Option<f64>) -> Option<bool> {
        Some(match self {
            Target::TimesBaseAtMost(bound) => ratio? <= bound,
            Target::TimesBaseAtLeast(bound) => ratio? >= bound,
            Target::AtMost(bound) => fanfare? <= bound,
            Target::AtLeast(bound) => fanfare? >= bound,
            Target::Open => return None,
        })
    }
}

/// Which of the rounds' figures counts.
#[derive(Clone, Copy)]
enum Pick {
    Median,
    /// For what must never happen.
    Highest,
    /// For what must always happen.
    Lowest,
}

impl Pick {
    fn of(self, mut values: Vec<f64>) -> Option<f64> {
        values.sort_by(f64::total_cmp);
        match self {
            Pick::Median => median(values),
            Pick::Highest => values.last().copied(),
            Pick::Lowest => values.first().copied(),
        }
    }
}

struct Spec {
    id: &'static str,
    metric: &'static str,
    unit: &'static str,
    measurement: &'static str,
    /// Whose figure stands in Fanfare's column.
    subject: Subject,
    /// Whose it is compared with.
    base: Subject,
    /// Where the figure is in a report, and what it is divided by.
    pointer: &'static str,
    /// Where the base's is, if not there.
    base_pointer: Option<&'static str>,
    divisor: f64,
    pick: Pick,
    target: Target,
}

/// A row with its figures.
#[derive(Serialize)]
pub(super) struct Row {
    pub(super) id: &'static str,
    pub(super) metric: &'static str,
    pub(super) unit: &'static str,
    base_subject: Subject,
    pub(super) base: Option<f64>,
    pub(super) fanfare: Option<f64>,
    /// Fanfare's figure over the base's of the same round.
    pub(super) ratio: Option<f64>,
    pub(super) target: String,
    /// None: nothing was measured, or there is no target.
    pub(super) met: Option<bool>,
    base_rounds: Vec<f64>,
    fanfare_rounds: Vec<f64>,
    ratio_rounds: Vec<f64>,
}

#[rustfmt::skip] // A table reads best as one.
fn specs() -> Vec<Spec> {
    use Target::{AtLeast, AtMost, Open, TimesBaseAtLeast, TimesBaseAtMost};
    let row = |id, measurement, metric, unit, pointer, target| Spec {
        id, metric, unit, measurement, subject: Subject::Fanfare, base: Subject::Floor, pointer, base_pointer: None, divisor: 1.0, pick: Pick::Median, target,
    };
    // Microseconds in the report, milliseconds in the table.
    let tail = |spec: Spec, subject| Spec { unit: "ms", divisor: 1000.0, subject, ..spec };
    let worst = |spec: Spec, pick| Spec { pick, ..spec };
    let per_delivery = "/cpu/server_us_per_delivery";
    let one = Subject::FanfareOneWorker;
    let with_webhook = |spec: Spec, subject| Spec { subject, base: Subject::Fanfare, ..spec };
    let tail_with = |spec: Spec, subject| with_webhook(tail(spec, subject), subject);
    let (batched, unbatched) = (Subject::BatchedWebhook, Subject::UnbatchedWebhook);
    let (dead, hanging, reloading) = (Subject::DeadWebhook, Subject::HangingWebhook, Subject::TransitionsWebhook);
    let with_cluster = |spec: Spec| Spec { subject: Subject::Cluster, base: Subject::Fanfare, ..spec };
    let cluster_cpu = |id, whose, pointer, target| with_cluster(row(id, "bystander", whose, "µs", pointer, target));
    let cluster_tail = |id, measurement, metric, pointer, target| with_cluster(tail(row(id, measurement, metric, "", pointer, target), Subject::Cluster));
    let in_turns = |id, measurement, metric, unit, pointer, base| Spec { base: Subject::Fanfare, base_pointer: Some(base), ..row(id, measurement, metric, unit, pointer, Open) };
    let cpu_in_turns = |id, measurement, metric, pointer, base| in_turns(id, measurement, metric, "µs", pointer, base);
    let (of_websocket, unwatched) = ("/websocket_us_per_delivery_median", "/unwatched_us_per_delivery_median");
    vec![
        row("fanout-cpu", "fanout", "one channel, 100 events/s: CPU per delivery", "µs", per_delivery, TimesBaseAtMost(1.10)),
        row("max-fanout-4-cpu", "max-fanout-4", "one channel, 4 in flight: CPU per delivery", "µs", per_delivery, TimesBaseAtMost(0.75)),
        row("max-fanout-4-rate", "max-fanout-4", "one channel, 4 in flight: deliveries", "/s", "/deliveries_per_s", TimesBaseAtLeast(1.3)),
        row("max-fanout-16-cpu", "max-fanout-16", "one channel, 16 in flight: CPU per delivery", "µs", per_delivery, TimesBaseAtMost(0.45)),
        row("max-fanout-16-rate", "max-fanout-16", "one channel, 16 in flight: deliveries", "/s", "/deliveries_per_s", TimesBaseAtLeast(2.0)),
        row("many-channels-cpu", "many-channels", "100 channels of 10: CPU per delivery", "µs", per_delivery, TimesBaseAtMost(1.25)),
        tail(row("many-channels-p99", "many-channels", "100 channels of 10, one worker: p99 latency", "", "/latency/p99_us", AtMost(1.5)), one),
        row("publish-cpu", "publish", "publish, nobody subscribed: CPU per request", "µs", "/cpu/server_us_per_request", TimesBaseAtMost(2.2)),
        tail(row("publish-p99", "publish", "publish, one worker: p99 latency", "", "/latency/p99_us", AtMost(1.0)), one),
        row("connect-cpu", "connect", "connect and subscribe: CPU per connection", "µs", "/cpu/server_us_per_connection", TimesBaseAtMost(1.8)),
        row("memory", "memory", "memory per idle subscribed connection", "KiB", "/kib_per_connection_rss", AtMost(3.5)),
        row("memory-rounds", "memory", "memory of later rounds of connections over the first", "×", "/later_rounds_rss_over_first", AtMost(1.05)),
        tail(row("health-p99", "health", "GET /up beside a saturated channel of 10,000: p99", "", "/health/p99_us", AtMost(10.0)), Subject::Fanfare),
        worst(row("slow-lost", "slow-consumer", "beside stalled clients: deliveries lost to the healthy", "", "/deliveries/lost", AtMost(0.0)), Pick::Highest),
        worst(row("slow-closed", "slow-consumer", "stalled clients closed with 4100, share", "", "/stalled/closed_4100_share", AtLeast(1.0)), Pick::Lowest),
        worst(row("slow-memory", "slow-consumer", "memory growth per stalled client", "KiB", "/server_peak_rss_growth_kib_per_stalled", AtMost(1024.0)), Pick::Highest),
        with_webhook(row("webhook-batched-cpu", "webhooks", "50 clients' events, batched webhook: CPU per delivery", "µs", per_delivery, TimesBaseAtMost(1.10)), batched),
        tail_with(row("webhook-unbatched-p99", "webhooks", "50 clients' events, unbatched webhook: p99 latency", "", "/latency/p99_us", TimesBaseAtMost(1.10)), unbatched),
        with_webhook(worst(row("webhook-batched-missing", "webhooks", "client events that the batched webhook did not report", "", "/webhooks/missing", AtMost(0.0)), Pick::Highest), batched),
        with_webhook(worst(row("webhook-unbatched-missing", "webhooks", "client events that the unbatched webhook did not report", "", "/webhooks/missing", AtMost(0.0)), Pick::Highest), unbatched),
        tail_with(row("webhook-dead-p99", "dead-webhooks", "publish to 50 beside a webhook that is refused: p99 latency", "", "/publish_latency/p99_us", TimesBaseAtMost(1.10)), dead),
        tail_with(row("webhook-hanging-p99", "dead-webhooks", "publish to 50 beside a webhook never answered: p99 latency", "", "/publish_latency/p99_us", TimesBaseAtMost(1.10)), hanging),
        tail_with(row("reload-health-p99", "reload", "GET /up while 1,000 members reload, with a webhook: p99", "", "/health/p99_us", AtMost(50.0)), reloading),
        with_webhook(worst(row("reload-reported", "reload", "webhook events that 1,000 reloading members cause", "", "/webhooks/caused_by_reload", AtMost(0.0)), Pick::Highest), reloading),
        with_webhook(worst(row("reload-first-joins", "reload", "first joins of these that the webhook did not report", "", "/webhooks/first_joins_missing", AtMost(0.0)), Pick::Highest), reloading),
        with_webhook(worst(row("reload-announcements", "reload", "their leaves and returns that observers did not see", "", "/announcements/wrong", AtMost(0.0)), Pick::Highest), reloading),
        cluster_cpu("cluster-bystander-cpu", "published at A, 100 listen on B, 100 others on C: CPU per publish, C", "/shares/node_3/us_per_publish", AtMost(2.0)),
        cluster_cpu("cluster-publishing-cpu", "the same: A", "/shares/node_1/us_per_publish", Open),
        cluster_cpu("cluster-listening-cpu", "the same: B", "/shares/node_2/us_per_publish", Open),
        cluster_cpu("cluster-redis-cpu", "the same: Redis", "/shares/shared/us_per_publish", Open),
        cluster_cpu("cluster-cpu", "the same: all together", "/shares/all/us_per_publish", Open),
        with_cluster(row("cluster-bystander-rate", "bystander", "the same: publishes", "/s", "/events_per_s", Open)),
        cluster_tail("cluster-near-p50", "cross-node", "published at A, 10 listen there and 10 on B: p50 latency, A", "/latency_by_node/node_1/p50_us", Open),
        cluster_tail("cluster-near-p99", "cross-node", "the same: p99 latency, A", "/latency_by_node/node_1/p99_us", Open),
        cluster_tail("cluster-far-p50", "cross-node", "the same: p50 latency, B", "/latency_by_node/node_2/p50_us", Open),
        cluster_tail("cluster-far-p99", "cross-node", "the same: p99 latency, B", "/latency_by_node/node_2/p99_us", Open),
        cluster_tail("cluster-far-later", "cross-node", "the same: how much later B has it, by the p50s", "/p50_later_on_other_node_us", AtMost(3.0)),
        with_cluster(row("cluster-capacity", "capacity", "900 on 100 channels, publishes at all nodes: most with p99 ≤ 50 ms", "/s", "/events_per_s", Open)),
        with_cluster(row("cluster-deliveries", "capacity", "the same: deliveries", "/s", "/deliveries_per_s", Open)),
        cluster_tail("cluster-capacity-p50", "capacity", "the same: p50 latency from schedule", "/latency_from_schedule/p50_us", Open),
        cluster_tail("cluster-capacity-p99", "capacity", "the same: p99 latency from schedule", "/latency_from_schedule/p99_us", Open),
        with_cluster(row("cluster-capacity-cpu", "capacity", "the same: CPU per publish, nodes and Redis", "µs", "/shares/all/us_per_publish", Open)),
        with_cluster(row("cluster-capacity-redis", "capacity", "the same: CPU per publish, Redis alone", "µs", "/shares/shared/us_per_publish", Open)),
        with_cluster(row("cluster-capacity-client", "capacity", "the same: cores that the client used", "", "/cpu/client_cores", Open)),
        cpu_in_turns("fallback-cpu", "fallback", "a stream of the fallback: CPU per delivery", "/stream_us_per_delivery_median", of_websocket),
        cpu_in_turns("resume-cpu", "resume", "a session that outlives its socket: CPU per delivery", "/named_us_per_delivery_median", of_websocket),
        cpu_in_turns("tls-cpu", "tls", "over TLS: CPU per delivery", "/tls_us_per_delivery_median", of_websocket),
        cpu_in_turns("compression-cpu", "compression", "2 KiB of JSON, compressed: CPU per delivery", "/compressed_us_per_delivery_median", "/plain_us_per_delivery_median"),
        in_turns("compression-bytes", "compression", "the same: bytes per delivery", "B", "/compressed_bytes_per_delivery_median", "/plain_bytes_per_delivery_median"),
        cpu_in_turns("watched-1-cpu", "watched", "5,000 events/s to 10, one watches: CPU per delivery", "/watched_by_1_us_per_delivery_median", unwatched),
        cpu_in_turns("watched-8-cpu", "watched", "the same, eight watch", "/watched_by_8_us_per_delivery_median", unwatched),
    ]
}

/// All rows of which anything was measured.
pub(super) fn judge(runs: &[Run]) -> Vec<Row> {
    let measured = |spec: &Spec| runs.iter().any(|run| run.measurement == spec.measurement);
    let specs = specs().into_iter().filter(measured);
    specs.map(|spec| row(&spec, runs)).collect()
}

fn row(spec: &Spec, runs: &[Run]) -> Row {
    let figures = |subject, pointer: &str| -> Vec<(usize, f64)> {
        let of_row = |run: &&Run| run.measurement == spec.measurement && run.subject == subject;
        let figure = |run: &Run| {
            let value = run.report.pointer(pointer)?.as_f64()?;
            Some((run.round, value / spec.divisor))
        };
        runs.iter().filter(of_row).filter_map(figure).collect()
    };
    let base = figures(spec.base, spec.base_pointer.unwrap_or(spec.pointer));
    let fanfare = figures(spec.subject, spec.pointer);
    let ratio_in_round = |(round, fanfare): &(usize, f64)| {
        let (_, base) = base.iter().find(|(of, _)| of == round)?;
        (*base > 0.0).then(|| fanfare / base)
    };
    let ratio_rounds: Vec<f64> = fanfare.iter().filter_map(ratio_in_round).collect();
    let values = |figures: &[(usize, f64)]| figures.iter().map(|(_, value)| *value).collect();
    let (base_rounds, fanfare_rounds): (Vec<f64>, Vec<f64>) = (values(&base), values(&fanfare));
    let ratio = spec.pick.of(ratio_rounds.clone());
    let fanfare = spec.pick.of(fanfare_rounds.clone());
    Row {
        id: spec.id,
        metric: spec.metric,
        unit: spec.unit,
        base_subject: spec.base,
        base: spec.pick.of(base_rounds.clone()),
        fanfare,
        ratio,
        target: spec.target.text(spec.base),
        met: spec.target.met(fanfare, ratio),
        base_rounds,
        fanfare_rounds,
        ratio_rounds,
    }
}

/// The row over all runs: how many deliveries went wrong in any of them.
pub(super) fn judge_deliveries(runs: &[Run]) -> Option<Row> {
    const WRONGS: [&str; 5] = [
        "lost",
        "duplicated",
        "out_of_order",
        "misrouted",
        "malformed",
    ];
    let wrong = |of_floor: bool| -> Vec<f64> {
        let of = runs.iter();
        let of = of.filter(|run| (run.subject == Subject::Floor) == of_floor);
        of.filter_map(|run| run.report.get("deliveries"))
            .map(|deliveries| WRONGS.iter().filter_map(|w| deliveries[w].as_f64()).sum())
            .collect()
    };
    let (base_rounds, fanfare_rounds) = (wrong(true), wrong(false));
    if fanfare_rounds.is_empty() {
        return None;
    }
    let target = Target::AtMost(0.0);
    let fanfare = Some(fanfare_rounds.iter().sum());
    Some(Row {
        id: "deliveries",
        metric: "deliveries lost, doubled, out of order or altered, all runs",
        unit: "",
        base_subject: Subject::Floor,
        base: (!base_rounds.is_empty()).then(|| base_rounds.iter().sum()),
        fanfare,
        ratio: None,
        target: target.text(Subject::Floor),
        met: target.met(fanfare, None),
        base_rounds,
        fanfare_rounds,
        ratio_rounds: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn run(measurement: &'static str, subject: Subject, round: usize, us: f64) -> Run {
        let cpu = json!({ "server_us_per_delivery": us, "server_us_per_connection": us });
        Run {
            measurement,
            subject,
            round,
            receiver: Value::Null,
            report: json!({ "ok": true, "cpu": cpu, "latency": { "p99_us": us } }),
        }
    }

    fn row_of(id: &str, runs: &[Run]) -> Row {
        judge(runs).into_iter().find(|row| row.id == id).unwrap()
    }

    #[test]
    fn the_ratio_is_the_median_of_those_within_a_round() {
        let mut runs = Vec::new();
        // The machine is half as fast in the second round.
        for (round, floor, fanfare) in [(0, 5.0, 5.0), (1, 10.0, 10.4), (2, 5.0, 7.0)] {
            runs.push(run("fanout", Subject::Floor, round, floor));
            runs.push(run("fanout", Subject::Fanfare, round, fanfare));
        }
        let row = row_of("fanout-cpu", &runs);
        assert_eq!((row.base, row.fanfare), (Some(5.0), Some(7.0)));
        assert_eq!((row.ratio, row.met), (Some(1.04), Some(true)));
    }

    #[test]
    fn a_round_without_its_floor_has_no_ratio() {
        let runs = [
            run("fanout", Subject::Floor, 0, 5.0),
            run("fanout", Subject::Fanfare, 0, 6.0),
            run("fanout", Subject::Fanfare, 1, 5.0),
        ];
        let row = row_of("fanout-cpu", &runs);
        assert_eq!((row.ratio, row.met), (Some(1.2), Some(false)));
        let row = row_of("fanout-cpu", &runs[2..]);
        assert_eq!((row.fanfare, row.ratio, row.met), (Some(5.0), None, None));
    }

    #[test]
    fn a_webhook_is_compared_with_none_in_the_same_round() {
        let mut runs = Vec::new();
        for (round, without, with) in [(0, 5.0, 5.5), (1, 10.0, 10.5), (2, 5.0, 7.0)] {
            runs.push(run("webhooks", Subject::Fanfare, round, without));
            runs.push(run("webhooks", Subject::BatchedWebhook, round, with));
        }
        let row = row_of("webhook-batched-cpu", &runs);
        assert_eq!((row.base, row.fanfare), (Some(5.0), Some(7.0)));
        assert_eq!((row.ratio, row.met), (Some(1.1), Some(true)));
        assert_eq!(row.target, "≤ 1.1 × base");
        let row = row_of("webhook-unbatched-p99", &runs);
        assert_eq!((row.fanfare, row.met), (None, None));
    }

    #[test]
    fn what_takes_turns_in_one_run_is_compared_within_it() {
        let taken = |round, plain: f64, over_tls: f64| Run {
            report: json!({
                "websocket_us_per_delivery_median": plain,
                "tls_us_per_delivery_median": over_tls,
            }),
            ..run("tls", Subject::Fanfare, round, 0.0)
        };
        let runs = [taken(0, 2.0, 3.0), taken(1, 4.0, 5.0), taken(2, 2.0, 4.0)];
        let row = row_of("tls-cpu", &runs);
        assert_eq!((row.base, row.fanfare), (Some(2.0), Some(4.0)));
        assert_eq!((row.ratio, row.met), (Some(1.5), None));
    }

    #[test]
    fn tails_are_those_of_one_worker_in_milliseconds() {
        let runs = [
            run("many-channels", Subject::Fanfare, 0, 9000.0),
            run("many-channels", Subject::FanfareOneWorker, 0, 1400.0),
        ];
        let row = row_of("many-channels-p99", &runs);
        assert_eq!((row.fanfare, row.met), (Some(1.4), Some(true)));
    }

    #[test]
    fn what_must_never_happen_is_judged_by_the_worst_round() {
        let lost = |round, lost| Run {
            report: json!({ "ok": lost == 0, "deliveries": { "lost": lost } }),
            ..run("slow-consumer", Subject::Fanfare, round, 0.0)
        };
        let runs = [lost(0, 0), lost(1, 3), lost(2, 0)];
        let row = row_of("slow-lost", &runs);
        assert_eq!((row.fanfare, row.met), (Some(3.0), Some(false)));
        let row = judge_deliveries(&runs).unwrap();
        assert_eq!((row.fanfare, row.met), (Some(3.0), Some(false)));
    }
}
