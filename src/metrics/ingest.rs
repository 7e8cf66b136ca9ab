//! What comes in from Laravel over Redis.

use super::declare::{Counter, CounterBy, Gauge, metrics};
use super::labels::IngestRefusal;

metrics! {
    /// The numbers of a node that takes in what Laravel's `redis` driver publishes.
    pub struct IngestMetrics {
        /// 1 while what Laravel publishes on Redis is listened to, else 0.
        connected: Gauge = "fanfare_ingest_connected",
        /// Events that came in over Redis, whether or not anybody listens to their channels.
        events: Counter = "fanfare_ingest_events_total",
        /// Messages that came in over Redis and were not delivered, by reason.
        refused: CounterBy<IngestRefusal> = "fanfare_ingest_refused_total",
    }
}
