//! The thread on which webhooks are sent.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use reqwest::Client;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinSet, LocalSet};

use super::client::client;
use super::error::StartError;
use super::event::{Event, Numbers};
use super::journal::Journal;
use super::reports::Name;
use super::sender::{Phase, Sender};
use super::settings::{JournalPlace, Settings};
use super::work::{Order, Work};

/// The thread's place behind the workers: a step of 5 leaves it about a third of what one of
/// them gets when there is not enough for all, and everything when there is.
const NICENESS: libc::c_int = 5;

/// What is known of the thread outside of it.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) phase: watch::Sender<Phase>,
    /// True once everything is done.
    pub(super) finished: watch::Receiver<bool>,
    /// Whether undelivered events outlast the process.
    pub(super) keeps_journal: bool,
    /// Whether events of an earlier process are left, of webhooks that have not begun.
    pub(super) has_left: bool,
}

/// Starts the thread. It works until it is asked to flush, or the sender that is returned goes
/// away, and reports when everything is done.
pub(super) fn start(
    orders: mpsc::UnboundedReceiver<Order>,
    settings: Settings,
    numbers: &Numbers,
) -> Result<Running, StartError> {
    let (phase, phases) = watch::channel(Phase::Serving);
    let (finish, finished) = watch::channel(false);
    let client = client(&settings)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    // The numbers of what is left are lower than those of all that happens from now on.
    let (journal, left) = open_journal(&settings.journal, numbers)?;
    let (keeps_journal, has_left) = (journal.is_some(), !left.is_empty());
    let body = move || {
        lower_priority();
        let desk = Desk {
            client,
            settings: Rc::new(settings),
            journal: journal.map(|journal| Rc::new(RefCell::new(journal))),
            left,
            phases,
            senders: JoinSet::new(),
        };
        runtime.block_on(LocalSet::new().run_until(desk.run(orders)));
        // Nobody may wait for it any more.
        let _ = finish.send(true);
    };
    thread::Builder::new().name("webhooks".into()).spawn(body)?;
    Ok(Running {
        phase,
        finished,
        keeps_journal,
        has_left,
    })
}

/// Where senders begin and end.
struct Desk {
    client: Client,
    settings: Rc<Settings>,
    journal: Option<Rc<RefCell<Journal>>>,
    /// Of an earlier process.
    left: LeftEvents,
    phases: watch::Receiver<Phase>,
    senders: JoinSet<()>,
}

impl Desk {
    /// Works until it is asked to flush and all senders have ended.
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let mut phases = self.phases.clone();
        let flush = phases.wait_for(|phase| *phase == Phase::Flushing);
        tokio::pin!(flush);
        loop {
            tokio::select! {
                // What was asked for before the flush is begun before it.
                biased;
                Some(order) = orders.recv() => self.take(order),
                Some(_) = self.senders.join_next() => {}
                _ = &mut flush => break,
            }
        }
        while self.senders.join_next().await.is_some() {}
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Begin(work) => self.begin(*work),
            Order::ForgetLeft => {
                forget(std::mem::take(&mut self.left), self.journal.as_deref());
            }
        }
    }

    /// A sender that panics, for a fault of ours or of a library, takes none of the others with it.
    fn begin(&mut self, work: Work) {
        let name = Name {
            app: work.app.id.clone(),
            endpoint: work.endpoint.clone(),
            key: Arc::clone(&work.key),
        };
        let inbox = Arc::clone(&work.inbox);
        let (client, journal) = (self.client.clone(), self.journal.clone());
        let mut sender = Sender::new(name.clone(), work, client, &self.settings, journal);
        for event in self.left.remove(&*name.key).unwrap_or_default() {
            sender.resume(event);
        }
        let running = tokio::task::spawn_local(sender.run(inbox, self.phases.clone()));
        self.senders.spawn_local(async move {
            if running.await.is_err() {
                tracing::error!(
                    app = &*name.app,
                    webhook = name.endpoint,
                    "a webhook's sender has failed: it gets no more events until the relay is \
                     started again"
                );
            }
        });
    }
}

/// Events of an earlier process by the key of their webhook.
type LeftEvents = HashMap<String, Vec<Event>>;

/// The journal, if there is one, and what an earlier process has left in it.
fn open_journal(
    place: &JournalPlace,
    numbers: &Numbers,
) -> Result<(Option<Journal>, LeftEvents), StartError> {
    let Some(folder) = place.folder() else {
        return Ok((None, LeftEvents::new()));
    };
    let opened = Journal::open(folder).map_err(|source| StartError::Journal {
        folder: folder.display().to_string(),
        source,
    });
    let (journal, left) = match (opened, place) {
        (Err(error), JournalPlace::Usual(_)) => {
            tracing::warn!(
                %error,
                "webhooks that wait to be sent do not outlast the process, and what another has left there is not sent"
            );
            return Ok((None, LeftEvents::new()));
        }
        (opened, _) => opened?,
    };
    if !left.is_empty() {
        let events = left.len();
        tracing::info!(events, "webhooks of an earlier process are sent now");
    }
    let mut by_webhook = LeftEvents::new();
    for left in left {
        let event = left.event(numbers.next());
        by_webhook.entry(left.webhook).or_default().push(event);
    }
    Ok((Some(journal), by_webhook))
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
