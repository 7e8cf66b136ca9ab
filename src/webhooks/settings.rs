//! What holds for all webhooks of the relay.

use std::path::{Path, PathBuf};
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
    /// Where undelivered events outlast the process. Nowhere; in the configuration, `webhooks` in `server.state_dir`.
    pub journal: JournalPlace,
}

/// Where undelivered events are written down, so that they outlast the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JournalPlace {
    /// Nowhere: they do not.
    Nowhere,
    /// In the folder for all that outlasts the process. Where it cannot be used, they are sent all the same.
    Usual(PathBuf),
    /// In a folder that was asked for, without which nothing is sent.
    Named(PathBuf),
}

impl JournalPlace {
    /// The folder, if there is one.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Nowhere => None,
            Self::Usual(folder) | Self::Named(folder) => Some(folder),
        }
    }
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
            journal: JournalPlace::Nowhere,
        }
    }
}
