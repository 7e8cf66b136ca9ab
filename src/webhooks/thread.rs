//! The thread on which webhooks are sent.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use futures_util::future::join_all;
use sha2::{Digest as _, Sha256};
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::task::LocalSet;

use super::client::client;
use super::error::StartError;
use super::event::{Event, Numbers};
use super::inbox::Inbox;
use super::journal::Journal;
use super::outlet::Backlog;
use super::post::Poster;
use super::reports::Name;
use super::sender::{Phase, Sender};
use super::settings::Settings;
use crate::apps::{App, Webhook};
use crate::metrics::AppMetrics;

/// The thread's place behind the workers: a step of 5 leaves it about a third of what one of
/// them gets when there is not enough for all, and everything when there is.
const NICENESS: libc::c_int = 5;

/// One webhook, and where its events come from.
pub(super) struct Work {
    pub(super) app: Arc<App>,
    pub(super) webhook: Webhook,
    /// How many of the app's webhooks before it have the same URL.
    pub(super) namesakes: usize,
    pub(super) backlog: Arc<Backlog>,
    pub(super) metrics: AppMetrics,
    pub(super) inbox: Arc<Inbox>,
}

impl Work {
    fn name(&self) -> Name {
        let url = self.webhook.url.secret().as_str();
        let mut digest = Sha256::new();
        digest.update(self.app.id.as_bytes());
        digest.update([0]);
        digest.update(url);
        digest.update(self.namesakes.to_be_bytes());
        Name {
            app: self.app.id.clone(),
            endpoint: self.webhook.url.to_string(),
            // The URL itself may hold secrets.
            key: hex::encode(&digest.finalize()[..8]).into(),
        }
    }
}

type Handles = (watch::Sender<Phase>, watch::Receiver<bool>);

/// Starts the thread. It works until it is asked to flush, or the sender that is returned goes
/// away, and reports when everything is done.
pub(super) fn start(
    work: Vec<Work>,
    settings: Settings,
    numbers: &Numbers,
) -> Result<Handles, StartError> {
    let (phase, phases) = watch::channel(Phase::Serving);
    let (finish, finished) = watch::channel(false);
    let client = client(&settings)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (journal, mut left) = match &settings.journal {
        // Their numbers are lower than those of all that happens from now on.
        Some(folder) => open_journal(folder, numbers).map(|(own, left)| (Some(own), left))?,
        None => (None, HashMap::new()),
    };
    let body = move || {
        lower_priority();
        let journal = journal.map(|journal| Rc::new(RefCell::new(journal)));
        let mut senders = Vec::new();
        for work in work {
            let name = work.name();
            let poster = Poster::new(
                client.clone(),
                &work.webhook,
                work.app.keys.signing().clone(),
                settings.timeout,
            );
            let journal = journal.clone();
            let mut sender = Sender::new(
                name.clone(),
                poster,
                work.webhook.batch,
                &settings,
                work.backlog,
                journal,
                work.metrics,
            );
            for event in left.remove(&*name.key).unwrap_or_default() {
                sender.resume(event);
            }
            senders.push((name, sender.run(work.inbox, phases.clone())));
        }
        forget(left, journal.as_deref());
        runtime.block_on(LocalSet::new().run_until(run(senders)));
        // Nobody may wait for it any more.
        let _ = finish.send(true);
    };
    thread::Builder::new().name("webhooks".into()).spawn(body)?;
    Ok((phase, finished))
}

/// Runs the senders to their end. One that panics, for a fault of ours or of a library, takes
/// none of the others with it.
async fn run(senders: Vec<(Name, impl Future<Output = ()> + 'static)>) {
    let tasks = senders.into_iter().map(|(name, sender)| {
        let task = tokio::task::spawn_local(sender);
        async move {
            if task.await.is_err() {
                tracing::error!(
                    app = &*name.app,
                    webhook = name.endpoint,
                    "a webhook's sender has failed: it gets no more events until the relay is \
                     started again"
                );
            }
        }
    });
    join_all(tasks).await;
}

/// Events of an earlier process by the key of their webhook.
type LeftEvents = HashMap<String, Vec<Event>>;

fn open_journal(folder: &Path, numbers: &Numbers) -> Result<(Journal, LeftEvents), StartError> {
    let (journal, left) = Journal::open(folder).map_err(|source| StartError::Journal {
        folder: folder.display().to_string(),
        source,
    })?;
    if !left.is_empty() {
        let events = left.len();
        tracing::info!(events, "webhooks of an earlier process are sent now");
    }
    let mut by_webhook = LeftEvents::new();
    for left in left {
        let event = left.event(numbers.next());
        by_webhook.entry(left.webhook).or_default().push(event);
    }
    Ok((journal, by_webhook))
}

/// Crosses out what was left for webhooks that are no longer configured.
fn forget(left: LeftEvents, journal: Option<&RefCell<Journal>>) {
    let Some(journal) = journal else {
        return;
    };
    for (webhook, events) in left {
        journal.borrow_mut().settle(&webhook.into(), &events);
        let events = events.len();
        tracing::warn!(
            events,
            "events were left for a webhook that is no longer configured"
        );
    }
}

/// Lets the workers go first where there is not enough time for all.
fn lower_priority() {
    // SAFETY: the call takes plain numbers; 0 is the calling thread, of which alone Linux lowers
    // the priority.
    if unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICENESS) } != 0 {
        let error = io::Error::last_os_error();
        tracing::debug!(%error, "webhooks are sent at the workers' priority");
    }
}
