//! Who may ask for apps of the database, and change them: the admin API.

use std::fmt;
use std::sync::{Arc, mpsc as std_mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::parts::Parts;
use super::place::{Place, Schema};
use super::poll::Poller;
use super::rows::{Asked, Clerk, Job};
use super::stored::{StoreError, Stored};
use crate::hub::Knowledge;

/// Requests that wait for the database. More wait for a place.
const WAITING: usize = 64;
/// How long whoever has changed an app waits for it to be served as it is now.
const SERVED_WITHIN: Duration = Duration::from_secs(3);

/// The apps of the database. Clones are the same one.
#[derive(Clone)]
pub struct Store {
    parts: Arc<Parts>,
    jobs: mpsc::Sender<Job>,
    thread: Arc<Mutex<Thread>>,
}

enum Thread {
    NotStarted(mpsc::Receiver<Job>),
    AtWork {
        stop: oneshot::Sender<()>,
        handle: JoinHandle<()>,
    },
    Over,
}

impl Store {
    /// The apps of a database. It is not looked at yet.
    pub fn new(parts: Parts) -> Self {
        let (jobs, receiver) = mpsc::channel(WAITING);
        Self {
            parts: Arc::new(parts),
            jobs,
            thread: Arc::new(Mutex::new(Thread::NotStarted(receiver))),
        }
    }

    /// Begins to serve the apps, if there is a database, and waits so long at most until it was looked at once.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(&self, wait: Duration) -> std::io::Result<()> {
        if !self.parts.settings.place.is_there() {
            return Ok(());
        }
        self.parts.relay.hub.apps().set_knowledge(Knowledge::NotYet);
        let (looked, first) = std_mpsc::sync_channel(1);
        self.begin(Some(looked))?;
        // What has not come by then comes later.
        let _ = first.recv_timeout(wait);
        Ok(())
    }

    /// Ends it, and parts from the database in good order.
    pub fn stop(&self) {
        let thread = std::mem::replace(&mut *self.thread.lock(), Thread::Over);
        if let Thread::AtWork { stop, handle } = thread {
            let _ = stop.send(());
            let _ = handle.join();
        }
    }

    /// Whether apps can be changed here.
    pub fn is_writable(&self) -> bool {
        self.parts.settings.schema == Schema::Fanfare
    }

    /// What is wrong with where apps are kept, if something is: a sentence, and what to do.
    pub fn concern(&self) -> Option<String> {
        let is_in_cluster = self.parts.relay.authority.reaches_beyond();
        self.parts.settings.concern(is_in_cluster)
    }

    /// Apps in the order of their ids, so many at most of those behind `after`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::ReadOnly`].
    pub async fn list(&self, after: &str, most: usize) -> Result<Vec<Stored>, StoreError> {
        if self.is_empty_for_now() {
            return Ok(Vec::new());
        }
        let after = after.to_owned();
        self.ask(Asked::List { after, most }).await
    }

    /// The app with this id.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`], [`StoreError::ReadOnly`].
    pub async fn get(&self, id: &str) -> Result<Stored, StoreError> {
        if self.is_empty_for_now() {
            return Err(StoreError::NotFound);
        }
        let id = id.to_owned();
        one(self.ask(Asked::Get { id }).await?)
    }

    /// Makes an app of these settings, which are as `[[apps]]` of the file has them. It is served when this returns.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`], [`StoreError::Invalid`], [`StoreError::Unavailable`], [`StoreError::ReadOnly`],
    /// [`StoreError::NotShared`].
    pub async fn create(&self, settings: Map<String, Value>) -> Result<Stored, StoreError> {
        if !self.is_writable() {
            return Err(StoreError::ReadOnly);
        }
        let is_own = matches!(self.parts.settings.place, Place::Embedded(_));
        if is_own && self.parts.relay.authority.reaches_beyond() {
            return Err(StoreError::NotShared);
        }
        // Before a file is made for it.
        (self.parts.read)(&settings).map_err(StoreError::Invalid)?;
        let made = self.ask(Asked::Create { settings }).await?;
        self.are_served().await;
        one(made)
    }

    /// Gives the app all of these settings instead of those that it has, if it still is the version that was seen.
    /// They hold when this returns.
    ///
    /// # Errors
    /// All of [`StoreError`].
    pub async fn update(
        &self,
        id: &str,
        settings: Map<String, Value>,
        version: i64,
    ) -> Result<Stored, StoreError> {
        if self.is_empty_for_now() {
            return Err(StoreError::NotFound);
        }
        let asked = Asked::Update {
            id: id.to_owned(),
            settings,
            version,
        };
        let changed = self.ask(asked).await?;
        self.are_served().await;
        one(changed)
    }

    /// Enables or disables the app, if it still is the version that was seen, and leaves all else of its row as it is: for
    /// rows that cannot be read, too. It holds when this returns.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Conflict`], [`StoreError::Unavailable`], [`StoreError::ReadOnly`].
    pub async fn enable(
        &self,
        id: &str,
        enabled: bool,
        version: i64,
    ) -> Result<Stored, StoreError> {
        if self.is_empty_for_now() {
            return Err(StoreError::NotFound);
        }
        let asked = Asked::Enable {
            id: id.to_owned(),
            enabled,
            version,
        };
        let changed = self.ask(asked).await?;
        self.are_served().await;
        one(changed)
    }

    /// Gives the app another key pair. The one that it has signs no more; it is accepted for as long as it is one of
    /// `extra_keys`.
    ///
    /// # Errors
    /// All of [`StoreError`].
    pub async fn rotate(
        &self,
        id: &str,
        key: &str,
        secret: &str,
        version: i64,
    ) -> Result<Stored, StoreError> {
        let (_, mut settings) = self.get(id).await?.whole()?;
        let old = json!({ "key": settings.get("key"), "secret": settings.get("secret") });
        settings.insert("key".into(), key.into());
        settings.insert("secret".into(), secret.into());
        let extra = settings.entry("extra_keys");
        match extra.or_insert_with(|| Value::Array(Vec::new())) {
            Value::Array(pairs) => pairs.insert(0, old),
            _ => return Err(StoreError::Invalid("extra_keys: expected a list".into())),
        }
        self.update(id, settings, version).await
    }

    /// Removes an app, if it still is the version that was seen, or whichever it is. It is gone when this returns.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Conflict`], [`StoreError::Unavailable`], [`StoreError::ReadOnly`].
    pub async fn delete(&self, id: &str, version: Option<i64>) -> Result<(), StoreError> {
        if self.is_empty_for_now() {
            return Err(StoreError::NotFound);
        }
        let id = id.to_owned();
        self.ask(Asked::Delete { id, version }).await?;
        self.are_served().await;
        Ok(())
    }

    /// The embedded database is made with its first app.
    fn is_empty_for_now(&self) -> bool {
        let is_embedded = matches!(self.parts.settings.place, Place::Embedded(_));
        is_embedded && matches!(*self.thread.lock(), Thread::NotStarted(_))
    }

    async fn ask(&self, asked: Asked) -> Result<Vec<Stored>, StoreError> {
        let unavailable = |reason: &str| StoreError::Unavailable(reason.to_owned());
        self.begin(None)
            .map_err(|error| unavailable(&error.to_string()))?;
        let (answer, answered) = oneshot::channel();
        let job = Job { asked, answer };
        let is_ending = || unavailable("the relay is going away");
        self.jobs.send(job).await.map_err(|_| is_ending())?;
        answered.await.map_err(|_| is_ending())?
    }

    /// Waits until a look that has begun by now is over. Other nodes are asked to look, too.
    async fn are_served(&self) {
        self.parts.relay.authority.apps_changed();
        let looks = &self.parts.looks;
        let mut done = looks.done.subscribe();
        let mut number = 0;
        looks.asked.send_modify(|asked| {
            *asked += 1;
            number = *asked;
        });
        // It is served later if it takes longer.
        let _ = timeout(SERVED_WITHIN, done.wait_for(|done| *done >= number)).await;
    }

    fn begin(&self, looked: Option<std_mpsc::SyncSender<()>>) -> std::io::Result<()> {
        let mut thread = self.thread.lock();
        let jobs = match std::mem::replace(&mut *thread, Thread::Over) {
            Thread::NotStarted(jobs) => jobs,
            started => {
                *thread = started;
                return Ok(());
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel();
        let parts = Arc::clone(&self.parts);
        let handle = thread::Builder::new()
            .name("apps-database".into())
            .spawn(move || runtime.block_on(work(&parts, jobs, stopped, looked)))?;
        *thread = Thread::AtWork { stop, handle };
        Ok(())
    }
}

async fn work(
    parts: &Parts,
    mut jobs: mpsc::Receiver<Job>,
    stopped: oneshot::Receiver<()>,
    looked: Option<std_mpsc::SyncSender<()>>,
) {
    let (mut poller, mut clerk) = (Poller::new(parts), Clerk::new(parts));
    let first = || {
        if let Some(looked) = looked {
            let _ = looked.try_send(());
        }
    };
    tokio::select! {
        () = async { tokio::join!(poller.run(first), clerk.run(&mut jobs)); } => {}
        // Also when nobody is left who could stop it.
        _ = stopped => {}
    }
    tokio::join!(poller.close(), clerk.close());
}

fn one(rows: Vec<Stored>) -> Result<Stored, StoreError> {
    rows.into_iter().next().ok_or(StoreError::NotFound)
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("place", &self.parts.settings.place)
            .finish_non_exhaustive()
    }
}
