//! Several nodes that share their channels through Redis.
//!
//! A node delivers an event to its own subscribers at once, and has one thread ([`node`]) that
//! publishes to the others: a script appends the event to the channel's log and publishes it to the nodes
//! that listen. Who is on a channel is decided by another script, which appends what follows from
//! it to the same log. So every node sees each channel's events and members in one order, knows
//! from the offsets whether it has missed any, and can read what it has missed.
//!
//! - [`settings`]: where Redis is
//! - [`request`], [`next_join`], [`queries`], [`store`]: what the other threads ask of the one that speaks to Redis
//! - [`shared`]: what all threads see of that
//! - [`node`]: that thread
//! - [`channel`], [`outgoing`], [`watch`]: one channel, what is published on it, and who waits for it
//! - [`ledger`]: what is written and kept in all
//! - [`link`], [`rights`]: a server of Redis, and what it lets a node do; [`greeting`]: whether it answers
//! - [`script`], [`keys`], [`entry`]: what is in Redis
//! - [`wire`]: what nodes and scripts have in common

mod channel;
mod entry;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod greeting;
mod keys;
mod ledger;
mod link;
mod next_join;
mod node;
mod outgoing;
mod queries;
mod request;
mod rights;
mod script;
mod settings;
mod shared;
mod store;
mod watch;
mod wire;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::task::LocalSet;

pub use greeting::greet;
pub use settings::{Settings, Target};

use crate::hub::idempotency::SharedClaim;
use crate::hub::{
    Admission, Answer, AppHub, Apps, Authority, Backlog, Broadcast, Caching, ChannelReport, Detail,
    Join, Leave, PeerHandle, Receipt, SignIn, Standing, Unavailable,
};
use crate::metrics::{ClusterMetrics, Metrics};
use crate::protocol::ChannelName;
use crate::protocol::member::{Member, Watchlist};
use crate::session::CloseReason;
use crate::state::common::Common;
use entry::Event;
use keys::Keys;
use link::Reach;
use node::Driver;
use queries::Asker;
use request::{Close, Publish, Request};
use rights::Lack;
use shared::Shared;
use store::Store;

/// The authority of a node that shares its channels.
pub struct Redis {
    settings: Settings,
    reach: Reach,
    shared: Arc<Shared>,
    backlog: Arc<Backlog>,
    metrics: ClusterMetrics,
    asker: Asker,
}

/// The operator's certificates cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the certificates {path} (cluster.ca_certificates): {source}")]
pub struct UnreadableCertificates {
    /// The file as configured.
    path: String,
    /// What the system said.
    source: io::Error,
}

impl Redis {
    /// The authority, which is at work once it is started.
    pub fn new(settings: Settings, metrics: &Metrics) -> Result<Self, UnreadableCertificates> {
        let root_certificates = match &settings.ca_certificates {
            None => None,
            Some(path) => Some(std::fs::read(path).map_err(|source| {
                let path = path.display().to_string();
                UnreadableCertificates { path, source }
            })?),
        };
        let metrics = metrics.cluster();
        // A server that stalls for long is away; a node must notice before it counts as dead.
        let patience = (settings.node_timeout / 3).min(Duration::from_secs(2));
        let shared = Arc::new(Shared::default());
        Ok(Self {
            reach: Reach {
                patience,
                root_certificates,
            },
            backlog: Arc::new(Backlog::new(
                settings.backlog_bytes,
                metrics.backlog_bytes.clone(),
            )),
            asker: Asker::new(
                Arc::clone(&shared),
                Keys::new(&settings.prefix),
                metrics.clone(),
            ),
            shared,
            metrics,
            settings,
        })
    }

    /// What the nodes keep together beside their channels.
    pub fn common(&self) -> Arc<dyn Common> {
        Arc::new(Store::new(
            self.asker.clone(),
            Keys::new(&self.settings.prefix),
        ))
    }

    /// The nodes share a database of apps, too. To be called before the start.
    pub fn follow_apps(&self) {
        self.shared.apps_changed.get_or_init(Arc::default);
    }

    fn is_leaving(&self) -> bool {
        self.shared.is_leaving.load(Ordering::Acquire)
    }

    fn ask(&self, request: Request) {
        self.shared.requests.push(request);
    }
}

/// A node whose thread is gone would take events and send them to nobody: better no node at all, and a
/// supervisor that starts another.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("the thread that shares channels has panicked: the process ends");
            std::process::abort();
        }
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Authority for Redis {
    /// Starts the thread that speaks to Redis.
    fn start(&self, apps: Arc<Apps>) -> io::Result<()> {
        let (settings, reach) = (self.settings.clone(), self.reach.clone());
        let (shared, metrics) = (Arc::clone(&self.shared), self.metrics.clone());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        std::thread::Builder::new()
            .name("fanfare-cluster".to_owned())
            .spawn(move || {
                let _guard = AbortOnPanic;
                let driver = Driver::new(settings, reach, shared, metrics, apps);
                LocalSet::new().block_on(&runtime, driver.run());
            })?;
        Ok(())
    }

    fn join(&self, app: &Arc<AppHub>, join: Join) {
        self.ask(Request::Join(Arc::clone(app), join));
    }

    fn confirm(&self, app: &Arc<AppHub>, peer: PeerHandle, channel: ChannelName) {
        self.ask(Request::Confirm(Arc::clone(app), peer, channel));
    }

    fn leave(&self, app: &Arc<AppHub>, leave: Leave) {
        self.ask(Request::Leave(Arc::clone(app), leave));
    }

    fn publish(
        &self,
        app: &Arc<AppHub>,
        channel: &str,
        broadcast: Broadcast,
        caching: Caching,
        admission: &Admission,
    ) -> Receipt {
        let event = Event {
            is_cached: caching == Caching::AsLast,
            except: broadcast.except,
            payload: Publish::payload(&broadcast.frame),
        };
        app.publish_locally(channel, broadcast, caching);
        let (receipt, pending) = oneshot::channel();
        self.ask(Request::Publish(Publish {
            app: Arc::clone(app),
            channel: channel.into(),
            event,
            rank: admission.rank(),
            receipt,
        }));
        Receipt::pending(pending)
    }

    fn sign_in(&self, app: &Arc<AppHub>, sign_in: SignIn) {
        self.ask(Request::SignIn(Arc::clone(app), sign_in));
    }

    fn sign_out(&self, app: &Arc<AppHub>, peer: PeerHandle, user: &Member) {
        self.ask(Request::sign_out(app, peer, user));
    }

    fn close_user(&self, app: &Arc<AppHub>, user_id: &str, reason: CloseReason) -> Receipt {
        let (code, text) = (reason.code.code(), reason.text.to_string());
        app.close_user_locally(user_id, reason);
        let (receipt, pending) = oneshot::channel();
        self.ask(Request::Close(Close {
            app: Arc::clone(app),
            user_id: user_id.into(),
            code,
            reason: text,
            receipt,
        }));
        Receipt::pending(pending)
    }

    fn unwatch(&self, app: &Arc<AppHub>, peer: &PeerHandle, watchlist: &Watchlist) {
        app.unwatch_locally(peer, watchlist);
        self.ask(Request::Unwatch(Arc::clone(app), Arc::clone(watchlist)));
    }

    fn undo_watch(&self, app: &Arc<AppHub>, peer: &PeerHandle, watchlist: &Watchlist) {
        app.undo_watch_locally(peer, watchlist);
        self.ask(Request::Unwatch(Arc::clone(app), Arc::clone(watchlist)));
    }

    fn reaches_beyond(&self) -> bool {
        true
    }

    fn has_others(&self) -> bool {
        self.shared.has_others()
    }

    fn admit(&self, bytes: usize) -> Result<Admission, Unavailable> {
        match self.standing() {
            _ if self.is_leaving() => Err(Unavailable::Leaving),
            Standing::NotYet => Err(Unavailable::NotYet),
            Standing::Refused => Err(Unavailable::Refused),
            Standing::Well | Standing::Away => {
                self.backlog.admit(bytes).ok_or(Unavailable::BacklogFull)
            }
        }
    }

    fn channel(&self, app: &Arc<AppHub>, channel: &str, detail: Detail) -> Answer<ChannelReport> {
        let cached = detail == Detail::StateAndLastEvent;
        let (asker, app) = (self.asker.clone(), Arc::clone(app));
        let channel = channel.to_owned();
        Answer::later(async move { asker.channel(&app, &channel, cached).await })
    }

    fn channels(
        &self,
        app: &Arc<AppHub>,
        prefix: &str,
        detail: Detail,
    ) -> Answer<Vec<(ChannelName, ChannelReport)>> {
        let cached = detail == Detail::StateAndLastEvent;
        let (asker, app) = (self.asker.clone(), Arc::clone(app));
        let prefix = prefix.to_owned();
        Answer::later(async move { asker.channels(&app, &prefix, cached).await })
    }

    fn members(&self, app: &Arc<AppHub>, channel: &str) -> Answer<Vec<Arc<str>>> {
        let (asker, app) = (self.asker.clone(), Arc::clone(app));
        let channel = channel.to_owned();
        Answer::later(async move { asker.members(&app, &channel).await })
    }

    fn nodes(&self) -> Answer<Vec<String>> {
        let asker = self.asker.clone();
        Answer::later(async move { asker.nodes().await })
    }

    fn claim(&self, app: &Arc<AppHub>, key: &str) -> Answer<SharedClaim> {
        let (asker, app) = (self.asker.clone(), Arc::clone(app));
        let (key, is_leaving) = (key.to_owned(), self.is_leaving());
        Answer::later(async move {
            if is_leaving {
                // It could not be given back any more.
                Err(Unavailable::Leaving)
            } else {
                asker.claim(&app, &key).await
            }
        })
    }

    fn apps_changed(&self) {
        self.ask(Request::AppsChanged);
    }

    fn apps_changed_elsewhere(&self) -> Option<Arc<Notify>> {
        self.shared.apps_changed.get().cloned()
    }

    fn standing(&self) -> Standing {
        self.shared.standing()
    }

    fn trouble(&self) -> Option<String> {
        self.shared.lack.lock().as_ref().map(Lack::to_string)
    }

    fn backlog_bytes(&self) -> usize {
        self.backlog.bytes()
    }

    fn begin_leaving(&self) {
        self.shared.is_leaving.store(true, Ordering::Release);
    }

    fn stop(&self) -> Receipt {
        let (done, stopped) = oneshot::channel();
        self.ask(Request::Stop(done));
        Receipt::pending(stopped)
    }
}
