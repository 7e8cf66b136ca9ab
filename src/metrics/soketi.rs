//! The numbers that soketi has, too, once more under its names, so that what was built on them goes on working.
//!
//! Names, labels and meanings are those of soketi 1.6 (`src/metrics/prometheus-metrics-driver.ts`). What the relay does not
//! count, or counts otherwise, is not there: `http_…` is per app there, and bytes of requests are not counted here;
//! `horizontal_adapter_…` measures questions that nodes do not ask one another here.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::app::AppMetrics;
use super::declare::{Counter, CounterBy, Gauge, Label};
use super::labels::ClosedWith;

/// The apps whose numbers are exported so.
#[derive(Clone, Debug)]
pub(super) struct Soketi {
    port: Arc<str>,
    apps: Arc<Mutex<BTreeMap<Box<str>, Numbers>>>,
}

/// What is read of an app. Handles of what is counted anyway.
#[derive(Debug)]
struct Numbers {
    connections: Gauge,
    opened: Counter,
    closes: CounterBy<ClosedWith>,
    messages_received: Counter,
    received_bytes: Counter,
    messages_sent: Counter,
    sent_bytes: Counter,
}

/// One metric of soketi's.
struct Known {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    value: fn(&Numbers) -> u64,
}

const KNOWN: &[Known] = &[
    Known {
        name: "soketi_connected",
        help: "Open connections.",
        kind: MetricType::Gauge,
        value: |app| app.connections.get().try_into().unwrap_or_default(),
    },
    Known {
        name: "soketi_new_connections",
        help: "Connections that were established.",
        kind: MetricType::Counter,
        value: |app| app.opened.get(),
    },
    Known {
        name: "soketi_new_disconnections",
        help: "Connections that ended.",
        kind: MetricType::Counter,
        value: |app| app.closes.sum(),
    },
    // The next two only grow. soketi calls them counters, whose names would end in _total for OpenMetrics.
    Known {
        name: "soketi_socket_received_bytes",
        help: "Bytes of messages received from clients, without WebSocket framing.",
        kind: MetricType::Unknown,
        value: |app| app.received_bytes.get(),
    },
    Known {
        name: "soketi_socket_transmitted_bytes",
        help: "Bytes sent to clients, with WebSocket framing (without it at soketi).",
        kind: MetricType::Unknown,
        value: |app| app.sent_bytes.get(),
    },
    Known {
        name: "soketi_ws_messages_received",
        help: "Messages received from clients.",
        kind: MetricType::Counter,
        value: |app| app.messages_received.get(),
    },
    Known {
        name: "soketi_ws_messages_sent",
        help: "Messages sent to clients, each delivery of an event counted.",
        kind: MetricType::Counter,
        value: |app| app.messages_sent.get(),
    },
];

impl Soketi {
    /// For a relay whose first public port this is.
    pub(super) fn new(port: u16) -> Self {
        Self {
            port: port.to_string().into(),
            apps: Arc::default(),
        }
    }

    /// From now on the numbers of this app are exported, too.
    pub(super) fn add(&self, app_id: &str, app: &AppMetrics) {
        let numbers = Numbers {
            connections: app.connections.clone(),
            opened: app.connections_opened.clone(),
            closes: app.closes.clone(),
            messages_received: app.messages_received.clone(),
            received_bytes: app.received_bytes.clone(),
            messages_sent: app.messages_sent.clone(),
            sent_bytes: app.sent_bytes.clone(),
        };
        self.apps.lock().insert(app_id.into(), numbers);
    }

    /// The app's numbers are exported no longer.
    pub(super) fn forget(&self, app_id: &str) {
        self.apps.lock().remove(app_id);
    }

    /// What the numbers of the process carry.
    pub(super) fn process_labels(&self) -> Vec<Label> {
        vec![("port", Arc::clone(&self.port))]
    }
}

impl Collector for Soketi {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let apps = self.apps.lock();
        if apps.is_empty() {
            return Ok(());
        }
        for known in KNOWN {
            let mut encoder =
                encoder.encode_descriptor(known.name, known.help, None, known.kind)?;
            for (id, numbers) in &*apps {
                let labels = [("app_id", &**id), ("port", &*self.port)];
                let encoder = encoder.encode_family(&labels)?;
                let value = (known.value)(numbers);
                match known.kind {
                    MetricType::Counter => ConstCounter::new(value).encode(encoder)?,
                    _ => ConstGauge::new(value as f64).encode(encoder)?,
                }
            }
        }
        Ok(())
    }
}
