//! What holds for all webhooks of the relay.

use std::path::PathBuf;
use std::time::Duration;

/// What holds for all webhooks.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long channel_vacated and member_removed wait for a return. 3 s (Pusher).
    pub leave_delay: Duration,
    /// How long an endpoint may take to answer. 10 s.
    pub timeout: Duration,
    /// How old an event may become that keeps failing. 5 minutes (Pusher).
    pub retry_for: Duration,
    /// How long an event waits for others that go with it, where several may go in one request.
    /// 200 ms.
    pub batch_wait: Duration,
    /// Events in one request at most. 100.
    pub batch_events: usize,
    /// Requests under way to one webhook at most. 16.
    pub concurrency: usize,
    /// Bytes of events that may wait for one webhook. 64 MiB.
    pub backlog_bytes: usize,
    /// Whether webhooks may be on addresses that are not of the public internet. True.
    pub private_addresses: bool,
    /// A PEM file of certificates that endpoints are trusted with, beside those of the system;
    /// `None`, the default: only those.
    pub ca_certificates: Option<PathBuf>,
    /// The folder in which undelivered events outlast the process; `None`, the default: they do
    /// not.
    pub journal: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            leave_delay: Duration::from_secs(3),
            timeout: Duration::from_secs(10),
            retry_for: Duration::from_secs(300),
            batch_wait: Duration::from_millis(200),
            batch_events: 100,
            concurrency: 16,
            backlog_bytes: 64 << 20,
            private_addresses: true,
            ca_certificates: None,
            journal: None,
        }
    }
}
