//! Figures for Prometheus.

use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use service::net::room::Numbers;

use crate::clock::Timestamp;
use crate::store::outbox::{Backlog, Kind};

/// Counters and gauges of one process.
#[derive(Clone)]
pub struct Metrics {
    requests: Family<RequestLabels, Counter>,
    sent: Family<KindLabels, Counter>,
    failures: Family<KindLabels, Counter>,
    given_up: Family<KindLabels, Counter>,
    waiting: Family<KindLabels, Gauge>,
    lag: Family<KindLabels, Gauge>,
    dead: Family<KindLabels, Gauge>,
    evicted: Counter,
    media: Family<ResultLabels, Counter>,
    evictions_waiting: Gauge,
    database_up: Gauge,
    http_connections: Gauge,
    http_closed_for_room: Family<ReasonLabels, Counter>,
    http_write_timeouts: Counter,
    registry: Arc<RwLock<Registry>>,
}

/// The route is the pattern that matched, never what a client sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    method: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: &'static str,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Metrics")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("conversation");
        let metrics = Self {
            requests: Family::default(),
            sent: Family::default(),
            failures: Family::default(),
            given_up: Family::default(),
            waiting: Family::default(),
            lag: Family::default(),
            dead: Family::default(),
            evicted: Counter::default(),
            media: Family::default(),
            evictions_waiting: Gauge::default(),
            database_up: Gauge::default(),
            http_connections: Gauge::default(),
            http_closed_for_room: Family::default(),
            http_write_timeouts: Counter::default(),
            registry: Arc::default(),
        };
        metrics.register_sending(&mut registry);
        metrics.register_serving(&mut registry);
        registry.register_collector(Box::new(LinesDropped));
        *metrics.registry.write() = registry;
        metrics
    }
}

impl Metrics {
    /// What is sent: events, replies, evictions, and the files of messages that are fetched.
    fn register_sending(&self, registry: &mut Registry) {
        let Self {
            sent,
            failures,
            given_up,
            waiting,
            lag,
            dead,
            evicted,
            media,
            evictions_waiting,
            ..
        } = self.clone();
        registry.register("outbox_sent", "Rows of the outbox that were sent", sent);
        registry.register(
            "outbox_failures",
            "Attempts to send that failed for now, be they made again or given up",
            failures,
        );
        registry.register(
            "outbox_given_up",
            "Rows that will not be sent: dead ones, and replies that have failed",
            given_up,
        );
        registry.register("outbox_waiting", "Rows that wait to be sent", waiting);
        registry.register_with_unit(
            "outbox_lag",
            "Age of the oldest row that waits",
            Unit::Seconds,
            lag,
        );
        registry.register("outbox_dead", "Rows that will never be sent", dead);
        registry.register(
            "evictions",
            "Users whose connections were ended because they had lost something",
            evicted,
        );
        registry.register(
            "evictions_waiting",
            "Users whose connections are yet to be ended",
            evictions_waiting,
        );
        registry.register(
            "media_fetches",
            "Attempts to fetch the file of a message, by what came of it",
            media,
        );
    }

    /// What is served, and from what.
    fn register_serving(&self, registry: &mut Registry) {
        let Self {
            requests,
            database_up,
            http_connections,
            http_closed_for_room,
            http_write_timeouts,
            ..
        } = self.clone();
        registry.register("http_requests", "Requests answered", requests);
        registry.register(
            "database_up",
            "Whether the database answers: 1 if it does",
            database_up,
        );
        registry.register(
            "http_connections",
            "Open connections of the endpoints",
            http_connections,
        );
        registry.register(
            "http_closed_for_room",
            "Connections closed to make room for others, by what they waited for",
            http_closed_for_room,
        );
        registry.register(
            "http_write_timeouts",
            "Connections ended because the peer took nothing of its answers",
            http_write_timeouts,
        );
    }

    /// Counts an answered request.
    pub fn answered(&self, route: Option<String>, method: &str, status: u16) {
        let labels = RequestLabels {
            // Scrapers that look for the end of the labels stumble over braces in them.
            route: match route {
                Some(pattern) => pattern.replace('{', ":").replace('}', ""),
                None => "none".into(),
            },
            method: match method {
                "GET" => "GET",
                "POST" => "POST",
                "OPTIONS" => "OPTIONS",
                "HEAD" => "HEAD",
                _ => "other",
            },
            status,
        };
        self.requests.get_or_create(&labels).inc();
    }

    /// Counts rows that were sent.
    pub fn sent(&self, kind: Kind, rows: usize) {
        let rows = u64::try_from(rows).unwrap_or(u64::MAX);
        self.sent.get_or_create(&labels(kind)).inc_by(rows);
    }

    /// Counts an attempt that failed.
    pub fn failed(&self, kind: Kind) {
        self.failures.get_or_create(&labels(kind)).inc();
    }

    /// Counts a row that will not be sent.
    pub fn given_up(&self, kind: Kind) {
        self.given_up.get_or_create(&labels(kind)).inc();
    }

    /// Notes how much waits.
    pub fn backlog(&self, kind: Kind, backlog: Backlog) {
        let now = Timestamp::now().millis();
        let age = backlog.oldest.map_or(0, |oldest| now - oldest.millis());
        let labels = labels(kind);
        self.waiting.get_or_create(&labels).set(backlog.waiting);
        self.lag.get_or_create(&labels).set(age.max(0) / 1000);
        self.dead.get_or_create(&labels).set(backlog.dead);
    }

    /// Counts users whose connections were ended.
    pub fn evicted(&self, users: usize) {
        self.evicted
            .inc_by(u64::try_from(users).unwrap_or(u64::MAX));
    }

    /// Counts an attempt to fetch the file of a message.
    pub fn media_fetched(&self, result: &'static str) {
        self.media.get_or_create(&ResultLabels { result }).inc();
    }

    /// Notes how many users' connections are yet to be ended.
    pub fn evictions_waiting(&self, users: i64) {
        self.evictions_waiting.set(users);
    }

    /// Notes whether the database answers.
    pub fn database(&self, is_up: bool) {
        self.database_up.set(i64::from(is_up));
    }

    /// Where the connections of the endpoints are counted.
    pub fn http_room(&self) -> Numbers {
        let closed = |reason| {
            let labels = ReasonLabels { reason };
            self.http_closed_for_room.get_or_create_owned(&labels)
        };
        Numbers {
            open: self.http_connections.clone(),
            closed_idle: closed("idle"),
            closed_head: closed("head"),
            closed_request: closed("request"),
        }
    }

    /// Where connections are counted whose peer takes nothing of its answers.
    pub fn http_write_timeouts(&self) -> Counter {
        self.http_write_timeouts.clone()
    }

    /// All of them, in the text format of OpenMetrics.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry.read())?;
        Ok(text)
    }
}

/// What the log counts itself.
#[derive(Debug)]
struct LinesDropped;

impl Collector for LinesDropped {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let name = "log_lines_dropped";
        let help = "Lines of the log that stderr did not take in time, or not at all.";
        let counter = ConstCounter::new(service::log::lines_dropped());
        let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        counter.encode(metric)
    }
}

fn labels(kind: Kind) -> KindLabels {
    KindLabels { kind: kind.name() }
}
