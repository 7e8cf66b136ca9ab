//! What holds for every connection.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use h2::Reason;
use service::net::deadline::Waits;
use tokio::sync::watch;

use crate::metrics::{Counter, CounterBy, Gauge, Http2Refusal, ProcessMetrics};
use crate::net::tally::Tally;

/// Requests at a time: the least that RFC 9113 §6.5.2 recommends.
pub(super) const MOST_STREAMS: u32 = 100;
/// Requests at a time on all connections of a worker, beside the first of each: a request takes about 10 KiB.
pub(super) const MOST_OF_WORKER: usize = 4096;

/// What holds for every connection of a worker.
#[derive(Debug)]
pub(in crate::server) struct Settings {
    pub(super) waits: Waits,
    /// How long a client may take to close a connection that it was asked to.
    pub(super) close_timeout: Duration,
    pub(super) stop: Stop,
    /// The worker's requests under way.
    pub(super) requests: Arc<Tally>,
    pub(super) numbers: Numbers,
    /// Open streams.
    pub(super) streams: Cell<usize>,
}

/// What a stop and the connections know of each other.
#[derive(Clone, Debug)]
pub(in crate::server) struct Stop {
    /// Set when the relay begins to stop.
    pub(in crate::server) begun: watch::Receiver<bool>,
    /// The connections of all workers.
    pub(in crate::server) connections: Arc<Tally>,
}

#[derive(Debug)]
pub(super) struct Numbers {
    pub(super) connections: Gauge,
    pub(super) requests: Counter,
    refused: CounterBy<Http2Refusal>,
    /// Clients that do not take what they have asked for.
    pub(super) write_timeouts: Counter,
}

impl Settings {
    /// Those of a worker that has no connections yet.
    pub(in crate::server) fn new(
        waits: Waits,
        close_timeout: Duration,
        stop: Stop,
        requests: Arc<Tally>,
        metrics: &ProcessMetrics,
    ) -> Self {
        Self {
            waits,
            close_timeout,
            stop,
            requests,
            numbers: Numbers {
                connections: metrics.http2_connections.clone(),
                requests: metrics.http2_requests.clone(),
                refused: metrics.http2_refused.clone(),
                write_timeouts: metrics.http_write_timeouts.clone(),
            },
            streams: Cell::new(0),
        }
    }

    pub(super) fn refused(&self, what: Http2Refusal) {
        self.numbers.refused.with(what).inc();
    }

    /// Counts a connection that h2 ended for what the client had sent.
    pub(super) fn note_error(&self, error: &h2::Error) {
        match error.reason() {
            Some(Reason::ENHANCE_YOUR_CALM) if error.is_library() => {
                self.refused(Http2Refusal::Flood);
            }
            Some(_) if error.is_library() => self.refused(Http2Refusal::Malformed),
            _ => {}
        }
    }
}
