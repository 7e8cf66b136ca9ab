//! How writes are committed.
//!
//! A commit waits for the disk, and SQLite has one writer at a time: one commit for each request
//! would cap the desk at what the disk can do, a few hundred a second. So requests hand their
//! writes in, and whatever has been handed in while the last commit was under way is committed
//! together by the next. On PostgreSQL there are several writers and each write is a transaction
//! of its own.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use parking_lot::RwLock;
use sqlx::{AnyPool, Connection as _};
use tokio::sync::{Mutex, MutexGuard, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::availability::too_late;
use super::{Connection, StoreError};

/// Writes that may wait to be taken; more make their requests wait.
const QUEUE: usize = 4096;
/// Turns that there are where writers work side by side; conversations share them by their ids.
const TURNS: usize = 64;
/// How often a write is tried that ran into another one's locks.
const ATTEMPTS: usize = 5;
/// How long a transaction may take. A connection that has not answered by then is given up.
const LONGEST: Duration = Duration::from_secs(10);

/// A change of the database: one that is done as a whole or not at all.
///
/// It may be applied more than once before it is committed, with earlier attempts rolled back: it
/// must not change anything but the database.
pub trait Write: Send + Sync + 'static {
    /// What it comes to. A refusal that changes nothing is an outcome, too.
    type Outcome: Send + 'static;

    /// The conversation in whose order it is: what one process hands in for a conversation is
    /// committed in that order. `None` for what is in no order.
    fn conversation(&self) -> Option<i64> {
        None
    }

    /// Makes the change.
    fn apply(
        &self,
        connection: &mut Connection,
    ) -> impl Future<Output = Result<Self::Outcome, sqlx::Error>> + Send;
}

/// How writes are committed on a database.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// The statement that begins a transaction.
    pub(super) begin: &'static str,
    /// Transactions side by side.
    pub(super) connections: u32,
    /// Writes in one transaction.
    pub(super) most_together: usize,
}

/// Takes writes in, and commits them.
#[derive(Clone)]
pub struct Writer {
    /// Empty once no more writes are taken.
    queue: Arc<RwLock<Option<Queue>>>,
    work: Arc<Mutex<JoinSet<()>>>,
    turns: Turns,
    pool: AnyPool,
}

/// Whose turn it is in a conversation. Those who wait get it in the order in which they came.
#[derive(Clone)]
struct Turns(Arc<[Mutex<()>]>);

impl Turns {
    /// One writer alone takes everything in order by itself.
    fn new(style: Style) -> Self {
        let turns = if style.connections > 1 { TURNS } else { 0 };
        Self((0..turns).map(|_| Mutex::default()).collect())
    }

    async fn take(&self, conversation: Option<i64>) -> Option<MutexGuard<'_, ()>> {
        let turns = u64::try_from(self.0.len()).ok()?;
        let turn = conversation?.unsigned_abs().checked_rem(turns)?;
        let turn = self.0.get(usize::try_from(turn).ok()?)?;
        Some(turn.lock().await)
    }
}

type Queue = mpsc::Sender<Box<dyn Pending>>;

impl fmt::Debug for Writer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Writer").finish_non_exhaustive()
    }
}

impl Writer {
    pub(super) fn start(pool: AnyPool, style: Style) -> Self {
        let (queue, incoming) = mpsc::channel(QUEUE);
        let incoming = Arc::new(Mutex::new(incoming));
        let mut work = JoinSet::new();
        for _ in 0..style.connections {
            work.spawn(commit_all(pool.clone(), style, Arc::clone(&incoming)));
        }
        Self {
            queue: Arc::new(RwLock::new(Some(queue))),
            work: Arc::new(Mutex::new(work)),
            turns: Turns::new(style),
            pool,
        }
    }

    pub(super) async fn write<W: Write>(&self, write: W) -> Result<W::Outcome, StoreError> {
        let _turn = self.turns.take(write.conversation()).await;
        let (answer, outcome) = oneshot::channel();
        let pending = Box::new(PendingWrite {
            write,
            outcome: None,
            answer,
        });
        let queue = self.queue.read().clone().ok_or(StoreError::Closed)?;
        queue.send(pending).await.map_err(|_| StoreError::Closed)?;
        drop(queue);
        outcome.await.map_err(|_| StoreError::Closed)?
    }

    /// Commits what was handed in before, and refuses what comes later.
    pub(super) async fn close(&self) {
        // The work ends by itself when its queue is empty and nobody can add to it.
        drop(self.queue.write().take());
        while self.work.lock().await.join_next().await.is_some() {}
        self.pool.close().await;
    }
}

async fn commit_all(
    pool: AnyPool,
    style: Style,
    incoming: Arc<Mutex<mpsc::Receiver<Box<dyn Pending>>>>,
) {
    let mut group = Vec::with_capacity(style.most_together);
    loop {
        let taken = incoming
            .lock()
            .await
            .recv_many(&mut group, style.most_together)
            .await;
        if taken == 0 {
            return;
        }
        commit(&pool, style, &mut group).await;
    }
}

/// Commits a group, or, if one of it cannot be applied, each of it by itself.
async fn commit(pool: &AnyPool, style: Style, group: &mut Vec<Box<dyn Pending>>) {
    group.retain(|pending| !pending.is_given_up());
    if group.len() > 1 && attempt(pool, style, group).await.is_ok() {
        group.drain(..).for_each(|pending| pending.committed());
        return;
    }
    for mut pending in group.drain(..) {
        // The one before may have taken a while.
        if pending.is_given_up() {
            continue;
        }
        match commit_one(pool, style, &mut pending).await {
            Ok(()) => pending.committed(),
            Err(error) => pending.failed(error.into()),
        }
    }
}

async fn commit_one(
    pool: &AnyPool,
    style: Style,
    pending: &mut Box<dyn Pending>,
) -> Result<(), sqlx::Error> {
    let mut tried = 1;
    loop {
        match attempt(pool, style, std::slice::from_mut(pending)).await {
            Err(error) if tried < ATTEMPTS && ran_into_locks(&error) => tried += 1,
            result => return result,
        }
    }
}

async fn attempt(
    pool: &AnyPool,
    style: Style,
    group: &mut [Box<dyn Pending>],
) -> Result<(), sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let attempt = timeout(LONGEST, transaction(&mut connection, style, group)).await;
    attempt.unwrap_or_else(|_| {
        drop(connection.detach());
        Err(too_late())
    })
}

async fn transaction(
    connection: &mut Connection,
    style: Style,
    group: &mut [Box<dyn Pending>],
) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin_with(style.begin).await?;
    for pending in group {
        pending.apply(&mut transaction).await?;
    }
    transaction.commit().await
}

/// Whether another transaction was in the way, and another attempt may succeed: PostgreSQL's
/// `serialization_failure` and `deadlock_detected`.
fn ran_into_locks(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(code.as_deref(), Some("40001" | "40P01"))
}

/// A write that waits for its commit.
trait Pending: Send {
    fn apply<'p>(
        &'p mut self,
        connection: &'p mut Connection,
    ) -> BoxFuture<'p, Result<(), sqlx::Error>>;
    /// Whether nobody waits for it any longer.
    fn is_given_up(&self) -> bool;
    fn committed(self: Box<Self>);
    fn failed(self: Box<Self>, error: StoreError);
}

struct PendingWrite<W: Write> {
    write: W,
    outcome: Option<W::Outcome>,
    answer: oneshot::Sender<Result<W::Outcome, StoreError>>,
}

impl<W: Write> Pending for PendingWrite<W> {
    fn apply<'p>(
        &'p mut self,
        connection: &'p mut Connection,
    ) -> BoxFuture<'p, Result<(), sqlx::Error>> {
        async {
            // What was refused for being late must not be done after all.
            if !self.is_given_up() {
                self.outcome = Some(self.write.apply(connection).await?);
            }
            Ok(())
        }
        .boxed()
    }

    fn is_given_up(&self) -> bool {
        self.answer.is_closed()
    }

    fn committed(self: Box<Self>) {
        if let Some(outcome) = self.outcome {
            // A request that was given up in the meantime has nobody to answer.
            let _ = self.answer.send(Ok(outcome));
        }
    }

    fn failed(self: Box<Self>, error: StoreError) {
        let _ = self.answer.send(Err(error));
    }
}
