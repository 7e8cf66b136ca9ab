//! What the thread is asked to do.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use super::inbox::Inbox;
use super::outcomes::Outcomes;
use super::outlet::Backlog;
use crate::apps::{LiveApp, Webhook, WebhookUrl};
use crate::metrics::AppMetrics;

/// How the events of a webhook are sent; None: they are not, as it is configured no longer.
pub(super) type Terms = Option<Arc<Webhook>>;

/// One webhook, and where its events come from.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) app: Arc<LiveApp>,
    /// How it is configured, now and later.
    pub(super) terms: watch::Receiver<Terms>,
    /// Scheme, host and port of the webhook.
    pub(super) endpoint: String,
    /// What the journal knows it by.
    pub(super) key: Arc<str>,
    pub(super) backlog: Arc<Backlog>,
    pub(super) metrics: AppMetrics,
    pub(super) inbox: Arc<Inbox>,
    pub(super) outcomes: Arc<Outcomes>,
}

/// What the journal knows a webhook by; `namesakes`: how many of the app's webhooks before it have the same URL.
pub(super) fn key(app_id: &str, url: &WebhookUrl, namesakes: usize) -> Arc<str> {
    let mut digest = Sha256::new();
    digest.update(app_id.as_bytes());
    digest.update([0]);
    digest.update(url.secret().as_str());
    digest.update(namesakes.to_be_bytes());
    // The URL itself may hold secrets.
    hex::encode(&digest.finalize()[..8]).into()
}

/// What the thread is asked to do.
#[derive(Debug)]
pub(super) enum Order {
    /// To work off the events of one more webhook.
    Begin(Box<Work>),
    /// To forget what is left of an earlier process: all webhooks that there are have begun.
    ForgetLeft,
}
