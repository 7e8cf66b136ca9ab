//! Every number that the relay exports, and how it is written for Prometheus.
//!
//! - [`app`], [`worker`], [`process`], [`cluster`], [`ingest`], [`certificate`], [`acme`],
//!   [`database`]: the metrics themselves, each with its name and help text
//! - [`labels`]: the closed sets that label values come from
//! - [`system`]: what the kernel counts of the process; [`soketi`]: some of the numbers under soketi's names
//! - [`latency`]: how long events took, read back
//! - [`declare`]: what a declaration turns into; [`settings`]: under which names
//! - [`plain`]: Prometheus' older text format
//!
//! Handles are resolved once, by [`Metrics::app`] and [`Metrics::worker`], and kept: counting is
//! then one relaxed atomic addition. Where workers share a counter (those of an app), count a
//! batch at once with `inc_by`. No label ever holds a channel name or anything a client sent.

mod acme;
mod app;
mod certificate;
mod cluster;
mod database;
mod declare;
mod ingest;
mod labels;
mod latency;
mod plain;
mod process;
mod settings;
mod soketi;
mod system;
mod worker;

use std::sync::Arc;

use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;

use self::declare::Declared;
use self::soketi::Soketi;
use self::system::System;

pub use self::acme::AcmeMetrics;
pub use self::app::AppMetrics;
pub use self::certificate::CertificateMetrics;
pub use self::cluster::ClusterMetrics;
pub use self::database::DatabaseMetrics;
#[cfg(test)]
pub use self::declare::LabelSet;
pub use self::declare::{Counter, CounterBy, Gauge, GaugeBy};
pub use self::ingest::IngestMetrics;
pub use self::labels::{
    AcmeOrder, AdminRefusal, AppTable, ClosedWith, CompressionOutcome, CompressionStage,
    ConnectionRefusal, EventLoss, FallbackTransport, Http2Refusal, InflateRefusal, IngestRefusal,
    LossOn, MessageKind, NotResumed, ProxyHeaderRefusal, PublishRefusal, Reload, RequestLimit,
    Route, StatusClass, Table, TlsHandshake, WebhookDrop, WebhookOutcome,
};
pub use self::latency::Latency;
pub use self::process::ProcessMetrics;
pub use self::settings::MetricsSettings;
pub use self::worker::WorkerMetrics;

/// The metrics of one process. Clones share the same numbers.
#[derive(Clone, Debug)]
pub struct Metrics {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    registry: Registry,
    /// The times of events by themselves.
    latency: Registry,
    apps: app::Families,
    workers: worker::Families,
    process: ProcessMetrics,
    cluster: cluster::Families,
    ingest: ingest::Families,
    certificates: certificate::Families,
    acme: acme::Families,
    soketi: Option<Soketi>,
    database: database::Families,
}

impl Metrics {
    /// Declares every metric; the start time is now.
    pub fn new() -> Self {
        Self::named(&MetricsSettings::default(), None)
    }

    /// The same, under these names. soketi's carry the port that is given, 0 for none.
    pub fn named(settings: &MetricsSettings, port: Option<u16>) -> Self {
        let mut registry = Registry::default();
        let declared = &mut Declared {
            registry: &mut registry,
            settings,
        };
        let process = process::start(declared);
        let workers = worker::Families::register(declared);
        let mut latency = Registry::default();
        workers.register_latency(&mut latency, latency::NAME);
        let apps = app::Families::register(declared);
        let cluster = cluster::Families::register(declared);
        let ingest = ingest::Families::register(declared);
        let certificates = certificate::Families::register(declared);
        let acme = acme::Families::register(declared);
        let database = database::Families::register(declared);
        let soketi = settings
            .soketi_names
            .then(|| Soketi::new(port.unwrap_or_default()));
        if let Some(soketi) = &soketi {
            registry.register_collector(Box::new(soketi.clone()));
            registry.register_collector(Box::new(System {
                prefix: "soketi_",
                labels: soketi.process_labels(),
            }));
        }
        let shared = Shared {
            acme,
            certificates,
            cluster,
            registry,
            latency,
            apps,
            workers,
            process,
            ingest,
            soketi,
            database,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The numbers of the app with this id of the configuration. Asked again, the same ones.
    pub fn app(&self, app_id: &str) -> AppMetrics {
        let app = self.shared.apps.resolve(&[("app", app_id.into())]);
        if let Some(soketi) = &self.shared.soketi {
            soketi.add(app_id, &app);
        }
        app
    }

    /// The numbers of the app are exported no longer: it is gone. Handles that are still held count on, and nobody
    /// sees it; asked for again, there are new ones.
    pub fn forget_app(&self, app_id: &str) {
        self.shared.apps.forget(&[("app", app_id.into())]);
        if let Some(soketi) = &self.shared.soketi {
            soketi.forget(app_id);
        }
    }

    /// The numbers of the worker thread with this index. Asked again, the same ones.
    pub fn worker(&self, index: usize) -> WorkerMetrics {
        let index = index.to_string().into();
        self.shared.workers.resolve(&[("worker", index)])
    }

    /// The numbers that belong to no app and no worker.
    pub fn process(&self) -> &ProcessMetrics {
        &self.shared.process
    }

    /// The numbers of the certificates for a name; exported once they are asked for.
    pub fn certificate(&self, name: &str) -> CertificateMetrics {
        self.shared.certificates.resolve(&[("name", name.into())])
    }

    /// No certificate is for this name any more.
    pub fn forget_certificate(&self, name: &str) {
        self.shared.certificates.forget(&[("name", name.into())]);
    }

    /// The numbers of a node that shares its channels; exported once they are asked for.
    pub fn cluster(&self) -> ClusterMetrics {
        self.shared.cluster.resolve(&[])
    }

    /// The numbers of what comes in from Laravel over Redis; exported once they are asked for.
    pub fn ingest(&self) -> IngestMetrics {
        self.shared.ingest.resolve(&[])
    }

    /// The numbers of certificates that are ordered; exported once they are asked for.
    pub fn acme(&self) -> AcmeMetrics {
        self.shared.acme.resolve(&[])
    }

    /// The numbers of the database that apps come from; exported once they are asked for.
    pub fn database(&self) -> DatabaseMetrics {
        self.shared.database.resolve(&[])
    }

    /// How long events took from being accepted until they were written, on all workers.
    pub fn latency(&self) -> Latency {
        Latency::of(&self.shared.latency)
    }

    /// All metrics in the OpenMetrics text format.
    pub fn encode(&self) -> String {
        let mut page = String::new();
        text::encode(&mut page, &self.shared.registry).expect("writing to a String cannot fail");
        page
    }

    /// All metrics in Prometheus' text format, version 0.0.4, in which names and meanings are the same.
    pub fn encode_plain(&self) -> String {
        plain::from_open_metrics(&self.encode())
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
