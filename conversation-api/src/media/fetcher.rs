//! Which files are fetched when.

use std::sync::Arc;
use std::time::Duration;

use service::backoff::Backoff;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval_at, sleep};

use super::download::{Downloaded, Downloads, NotDownloaded};
use super::{Folder, Limits};
use crate::clock::Timestamp;
use crate::metrics::Metrics;
use crate::outbox::{Timing, Wake};
use crate::store::media::{ClaimMedia, Fetched, PendingMedia, RenewMedia, SettleMedia};
use crate::store::{Store, StoreError};
use crate::whatsapp::graph::Graph;
use crate::whatsapp::media::PATIENCE;

/// Files that are fetched at a time.
const AT_ONCE: usize = 4;

/// The longest that WhatsApp may ask to be left alone.
const LONGEST_ASKED: Duration = Duration::from_secs(600);

const BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(3600));

/// Fetches the files of customers' messages. Clones share the work.
#[derive(Clone, Debug)]
pub struct Fetcher {
    downloads: Downloads,
    timing: Timing,
    wake: Wake,
    metrics: Metrics,
}

impl Fetcher {
    /// Fetches into `folder` what `store` holds the ids of.
    pub fn new(
        (store, graph): (Store, Graph),
        (folder, limits): (Folder, Limits),
        timing: Timing,
        wake: Wake,
        metrics: Metrics,
    ) -> Self {
        Self {
            downloads: Downloads {
                store,
                graph,
                folder,
                limits,
            },
            timing,
            wake,
            metrics,
        }
    }

    /// Works until `stopping` is true. What is under way then is given up, and fetched by whoever
    /// takes its lease once it has ended.
    pub async fn run(self, woken: Arc<Notify>, mut stopping: watch::Receiver<bool>) {
        let mut at_work = JoinSet::new();
        if let Err(error) = self.downloads.folder.prepare().await {
            tracing::error!(%error, "the folder of the files cannot be used");
        }
        while !*stopping.borrow_and_update() {
            let free = AT_ONCE - at_work.len();
            match self.claim(free).await {
                Ok(claimed) => {
                    for media in claimed {
                        at_work.spawn(self.clone().fetch(media));
                    }
                }
                Err(error) => error.log("files to be fetched cannot be read"),
            }
            tokio::select! {
                Some(_) = at_work.join_next() => {}
                () = woken.notified() => {}
                () = sleep(self.timing.poll) => {}
                _ = stopping.changed() => {}
            }
        }
        at_work.shutdown().await;
    }

    async fn claim(&self, most: usize) -> Result<Vec<PendingMedia>, StoreError> {
        let store = &self.downloads.store;
        if most == 0 || !store.has_due_media().await? {
            return Ok(Vec::new());
        }
        let claim = ClaimMedia {
            database: store.database(),
            owner: hex::encode(rand::random::<[u8; 16]>()),
            most: i64::try_from(most).unwrap_or(i64::MAX),
            lease: self.timing.lease,
        };
        store.write(claim).await
    }

    async fn fetch(self, media: PendingMedia) {
        let result = tokio::select! {
            result = self.downloads.fetch(&media) => result,
            () = sleep(PATIENCE) => Err(NotDownloaded::Silence),
            () = self.hold(&media) => return,
        };
        let message_id = media.message_id;
        let fetched = self.outcome(&media, result);
        if let Fetched::Unavailable { error } = &fetched {
            tracing::warn!(message_id, error, "a file will not come");
        }
        let settle = SettleMedia {
            message_id,
            owner: media.owner,
            fetched,
        };
        match self.downloads.store.write(settle).await {
            Ok(()) => self.wake.broadcast().notify_one(),
            Err(error) => error.log(&format!(
                "the file of message {message_id} is fetched again"
            )),
        }
    }

    /// Renews a lease again and again, until it is lost.
    async fn hold(&self, media: &PendingMedia) {
        let every = self.timing.attempt();
        let mut renewals = interval_at(Instant::now() + every, every);
        loop {
            renewals.tick().await;
            let renew = RenewMedia {
                database: self.downloads.store.database(),
                message_id: media.message_id,
                owner: media.owner.clone(),
                lease: self.timing.lease,
            };
            match self.downloads.store.write(renew).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => tracing::warn!(%error, "a lease could not be renewed"),
            }
        }
    }

    /// What is noted of an attempt.
    fn outcome(&self, media: &PendingMedia, result: Result<Downloaded, NotDownloaded>) -> Fetched {
        let error = match result {
            Ok(Downloaded { mime_type, size }) => {
                self.metrics.media_fetched("ready");
                let size = i64::try_from(size).unwrap_or(i64::MAX);
                return Fetched::Ready { mime_type, size };
            }
            Err(error) => error,
        };
        let give_up_at = media.created_at.after(self.downloads.limits.retry_for);
        let Some(asked) = error
            .retry_after()
            .filter(|_| Timestamp::now() < give_up_at)
        else {
            self.metrics.media_fetched("unavailable");
            let error = error.to_string();
            return Fetched::Unavailable { error };
        };
        self.metrics.media_fetched("retry");
        let is_ours = error.is_ours();
        let (message_id, error) = (media.message_id, error.to_string());
        // Once a file: what operators can do something about.
        if is_ours && media.failures == 0 {
            tracing::warn!(
                message_id,
                error,
                "files cannot be kept; they are tried again"
            );
        } else {
            tracing::debug!(message_id, error, "a file is to be fetched later");
        }
        let delay = BACKOFF.delay(media.failures.saturating_add(1));
        let after = delay.max(asked.min(LONGEST_ASKED));
        Fetched::Later { error, after }
    }
}
