//! What each worker thread does.

use prometheus_client::registry::Registry;

use super::declare::{Gauge, Histogram, metrics};

metrics! {
    /// The numbers of one worker thread, labelled `worker`: connections are dealt to the
    /// workers in turn and never move, so it shows here when one has more to do than others.
    pub struct WorkerMetrics {
        /// Open connections of the worker.
        connections: Gauge = "fanfare_worker_connections",
        /// Deliveries that wait in the worker's mailbox.
        backlog_deliveries: Gauge = "fanfare_worker_backlog_deliveries",
        /// Bytes of deliveries that wait in the worker's mailbox.
        backlog_bytes: Gauge = "fanfare_worker_backlog_bytes",
        /// Bytes of events that were sent to the worker's clients that name themselves, kept until they have proved to have received them; of each at most session_bytes.
        ///
        /// Counted every 250 ms. An event that is kept for many is counted for each of them.
        unproven_bytes: Gauge = "fanfare_worker_unproven_bytes",
        /// Time from accepting an event until it is written to all sockets of the worker.
        ///
        /// Observed once for each event and worker, not for each socket.
        publish_to_write: Histogram = "fanfare_publish_to_write_seconds",
    }
}

impl Families {
    /// How long events took, of all workers, under `name`.
    pub(super) fn register_latency(&self, registry: &mut Registry, name: &str) {
        registry.register(name, "", self.publish_to_write.clone());
    }
}
