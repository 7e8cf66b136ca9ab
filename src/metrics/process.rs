//! What belongs to no app and no worker.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use service::net::room::Numbers;

use super::declare::{Counter, CounterBy, Declared, Gauge, GaugeBy, Instrument, metrics};
use super::labels::{
    AdminRefusal, ConnectionRefusal, Http2Refusal, HttpClosedWhile, ProxyHeaderRefusal, Reload,
    RequestLimit, Route, StatusClass, Table, TlsHandshake,
};
use super::system::System;

metrics! {
    /// The numbers of the process as a whole.
    pub struct ProcessMetrics {
        /// When the relay started, in seconds since 1970.
        start_time: Gauge = "fanfare_start_time_seconds",
        /// Apps that there are.
        apps: Gauge = "fanfare_apps",
        /// Apps that are not served, as others before them have their ids or keys.
        apps_refused: Gauge = "fanfare_apps_refused",
        /// Times that the configuration was read again, by what came of it.
        config_reloads: CounterBy<Reload> = "fanfare_config_reloads_total",
        /// Connections refused before they belonged to an app, by reason.
        connections_refused: CounterBy<ConnectionRefusal> = "fanfare_connections_refused_total",
        /// Requests to the admin listener refused, by what was wrong with who asked.
        admin_refused: CounterBy<AdminRefusal> = "fanfare_admin_refused_total",
        /// Open connections of the admin listener.
        admin_connections: Gauge = "fanfare_admin_connections",
        /// Connections to the admin listener closed to make room for others, before a request or between two.
        admin_displaced: Counter = "fanfare_admin_displaced_total",
        /// Connections closed on listeners with server.proxy_protocol, by what was wrong with the header.
        proxy_headers_refused: CounterBy<ProxyHeaderRefusal> = "fanfare_proxy_headers_refused_total",
        /// Entries of the tables that grow with what clients, or an authority of certificates, ask for, by table. Each is bounded.
        table_entries: GaugeBy<Table> = "fanfare_table_entries",
        /// HTTP requests on the public listener, by what was asked for and class of status.
        http_requests: CounterBy<(Route, StatusClass)> = "fanfare_http_requests_total",
        /// Times that a worker made new connections wait for their turn (server.new_connections_per_worker).
        connections_paced: Counter = "fanfare_connections_paced_total",
        /// HTTP requests refused with 429, by whose limit it was.
        http_requests_limited: CounterBy<RequestLimit> = "fanfare_http_requests_limited_total",
        /// HTTP connections ended because the peer took nothing of its answers for write_timeout.
        http_write_timeouts: Counter = "fanfare_http_write_timeouts_total",
        /// Bytes of bodies that are on their way, of at most server.http_backlog_bytes.
        http_backlog: Gauge = "fanfare_http_backlog_bytes",
        /// Bytes that clients of the HTTP fallback have sent and that are not handled, of at most a quarter of server.http_backlog_bytes.
        fallback_backlog: Gauge = "fanfare_fallback_backlog_bytes",
        /// Connections that HTTP requests carry, ended to make room for others while no request was there for them.
        fallback_displaced: Counter = "fanfare_fallback_displaced_total",
        /// Sessions that are over whose clients will be told, should they come back within the hour, that they have missed something; 50,000 at most.
        remembered_sessions: Gauge = "fanfare_remembered_sessions",
        /// Open HTTP connections of the public listener.
        http_connections: Gauge = "fanfare_http_connections",
        /// HTTP connections closed to make room for others, by what they waited for.
        http_closed_for_room: CounterBy<HttpClosedWhile> = "fanfare_http_closed_for_room_total",
        /// Open connections over which HTTP/2 is spoken, of fanfare_http_connections or carrying fallback sessions.
        http2_connections: Gauge = "fanfare_http2_connections",
        /// HTTP requests that came over HTTP/2, of fanfare_http_requests_total.
        http2_requests: Counter = "fanfare_http2_requests_total",
        /// Connections over HTTP/2 that were ended for what the client had sent, and requests for which there was no room, by reason.
        http2_refused: CounterBy<Http2Refusal> = "fanfare_http2_refused_total",
        /// TLS handshakes, by outcome.
        tls_handshakes: CounterBy<TlsHandshake> = "fanfare_tls_handshakes_total",
        /// Files of certificates that changed and could not be used: what was served before still is.
        tls_reload_failures: Counter = "fanfare_tls_reload_failures_total",
    }
}

impl ProcessMetrics {
    /// Those of the admin listener's connections.
    pub fn admin_room(&self) -> Numbers {
        Numbers {
            open: self.admin_connections.clone(),
            closed_idle: self.admin_displaced.clone(),
            closed_head: self.admin_displaced.clone(),
            // None is closed during a request.
            closed_request: Counter::default(),
        }
    }

    /// Those of the HTTP connections.
    pub fn http_room(&self) -> Numbers {
        let closed = |reason| self.http_closed_for_room.with(reason).clone();
        Numbers {
            open: self.http_connections.clone(),
            closed_idle: closed(HttpClosedWhile::Idle),
            closed_head: closed(HttpClosedWhile::Head),
            closed_request: closed(HttpClosedWhile::Request),
        }
    }
}

/// Declares the metrics and sets those that never change again.
pub(super) fn start(declared: &mut Declared<'_>) -> ProcessMetrics {
    // A gauge of 1, as is the custom, and not an OpenMetrics "info", which parsers of the older
    // text format stumble over.
    let help = "Always 1; the label is the version that runs";
    let build_info = Gauge::register(declared, "fanfare_build_info", help);
    let version = ("version", env!("CARGO_PKG_VERSION").into());
    Gauge::resolve(&build_info, &[version]).set(1);
    let lines_dropped = LinesDropped {
        name: declared.settings.exported("fanfare_log_lines_dropped"),
    };
    let system = System {
        prefix: "",
        labels: Vec::new(),
    };
    declared
        .registry
        .register_collector(Box::new(lines_dropped));
    declared.registry.register_collector(Box::new(system));

    let metrics = Families::register(declared).resolve(&[]);
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = since_1970.map_or(0, |time| time.as_secs());
    metrics.start_time.set(seconds as i64);
    metrics
}

/// What the log counts itself, as it is there before there are metrics.
#[derive(Debug)]
struct LinesDropped {
    name: String,
}

impl Collector for LinesDropped {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "Lines of the log that stderr did not take in time, or not at all.";
        let counter = ConstCounter::new(service::log::lines_dropped());
        let metric = encoder.encode_descriptor(&self.name, help, None, MetricType::Counter)?;
        counter.encode(metric)
    }
}
