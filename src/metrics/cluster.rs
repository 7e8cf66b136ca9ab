//! How a node gets on with the others.

use super::declare::{Counter, CounterBy, Gauge, metrics};
use super::labels::{EventLoss, LossOn};

metrics! {
    /// The numbers of a node that shares its channels with others; all 0 on a single node.
    pub struct ClusterMetrics {
        /// 1 while the node reaches Redis and the others through it, else 0.
        connected: Gauge = "fanfare_cluster_connected",
        /// 1 while Redis does not let the node do all that it needs, as its user lacks rights, else 0.
        refused: Gauge = "fanfare_cluster_refused",
        /// Nodes that are alive, this one included.
        nodes: Gauge = "fanfare_cluster_nodes",
        /// Topics that the node listens to on Redis.
        subscriptions: Gauge = "fanfare_cluster_subscriptions",
        /// Bytes of events that wait for Redis.
        backlog_bytes: Gauge = "fanfare_cluster_backlog_bytes",
        /// Entries of channels' logs that the node has written.
        entries_sent: Counter = "fanfare_cluster_entries_sent_total",
        /// Entries of channels' logs that the node has received.
        entries_received: Counter = "fanfare_cluster_entries_received_total",
        /// Entries that were read from a log because they had not arrived by themselves.
        entries_recovered: Counter = "fanfare_cluster_entries_recovered_total",
        /// Events that came again, and were not delivered again.
        repeats_dropped: Counter = "fanfare_cluster_repeats_dropped_total",
        /// Times that a channel's log no longer went back to what the node knew: events may be
        /// missing.
        events_missed: Counter = "fanfare_cluster_events_missed_total",
        /// Log entries (of one event or more) that this node's subscribers did not get, by why and kind of channel. With
        /// the reason uncounted each stands for an unknown number, with forgotten they are as many at least.
        events_lost: CounterBy<(EventLoss, LossOn)> = "fanfare_cluster_events_lost_total",
        /// Times that Redis was found to have lost its data, or to have returned with older data.
        memory_losses: Counter = "fanfare_cluster_memory_losses_total",
        /// Times that a channel's log was found begun anew.
        epoch_changes: Counter = "fanfare_cluster_epoch_changes_total",
        /// Bytes of all channels' logs in Redis, about, as of the last heartbeat.
        log_bytes: Gauge = "fanfare_cluster_log_bytes",
        /// Entries that left a channel's log before their time, as cluster.log_bytes or cluster.total_log_bytes
        /// was used up.
        log_evictions: Counter = "fanfare_cluster_log_evictions_total",
        /// Messages that this version cannot read.
        unreadable: Counter = "fanfare_cluster_unreadable_total",
        /// Calls that Redis refused and that are made again.
        calls_refused: Counter = "fanfare_cluster_calls_refused_total",
    }
}
