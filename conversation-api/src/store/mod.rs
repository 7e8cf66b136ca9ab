//! What the desk knows, in SQLite or PostgreSQL.
//!
//! One set of queries serves both: sqlx's `Any` driver takes the same `$1` parameters to either,
//! and the schema keeps to integers and text, which mean the same in both. Only the migrations
//! and a few words of locking differ ([`Database`]).
//!
//! Reads go to a pool. Everything that writes is a [`Write`] and goes through the [`Writer`],
//! which on SQLite commits the writes of many requests at once.
//!
//! - [`mod@database`]: which there are; [`connect`], [`migrations`]: opening one
//! - [`reader`], [`writer`]: how is read, and how writes are committed
//! - [`availability`]: whether the database answers
//! - [`users`], [`tokens`], [`departments`]: who works here
//! - [`conversations`], [`listing`], [`messages`], [`retry`]: what is seen and written in the inbox
//! - [`assignments`], [`lifecycle`], [`reads`]: what is done there; [`transitions`]: how status and assignee change;
//!   [`announcements`]: the events of that
//! - [`ownership`]: whose a conversation is; [`message_rows`]: reading messages
//! - [`incoming`], [`statuses`]: what WhatsApp reports; [`updates`]: announcing that a message changed
//! - [`media`]: fetching files
//! - [`outbox`]: what is to be sent; [`settling`]: noting what was; [`revive`]: sending again what was given up
//! - [`evictions`], [`notices`]: whose connections are to end, and what they get before
//! - [`demo`]: demonstration data

pub mod announcements;
pub mod assignments;
mod availability;
mod connect;
pub mod conversations;
mod database;
pub mod demo;
pub mod departments;
pub mod evictions;
pub mod incoming;
pub mod lifecycle;
pub mod listing;
pub mod media;
mod message_rows;
pub mod messages;
mod migrations;
pub mod notices;
pub mod outbox;
mod ownership;
mod reader;
pub mod reads;
pub mod retry;
pub mod revive;
pub mod settling;
pub mod statuses;
pub mod tokens;
mod transitions;
mod updates;
pub mod users;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use sqlx::AnyPool;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use availability::{Availability, too_late};
pub use database::{Database, DatabaseUrl, InvalidUrl};
pub use writer::{Write, Writer};

/// A connection of either database.
pub type Connection = sqlx::AnyConnection;

/// The database did not do what it was asked to.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused, failed or could not be reached.
    #[error("database: {0}")]
    Database(Arc<sqlx::Error>),
    /// The migrations do not fit the database.
    #[error("database migrations: {0}")]
    Migrations(Arc<sqlx::migrate::MigrateError>),
    /// The schema is older than this program.
    #[error("the database schema is not up to date: run `conversation-api migrate` first")]
    MigrationDue,
    /// The database is being closed.
    #[error("the database is being closed")]
    Closed,
    /// The database has not answered a write in time, which it may carry out all the same.
    #[error("the database did not answer in time")]
    Late,
    /// Too much of this kind is going on.
    #[error("too many searches are under way")]
    Busy,
}

impl StoreError {
    /// Whether another attempt may succeed later: the database does not answer, or has no room.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Database(error) => availability::is_outage(error),
            Self::Closed | Self::Late | Self::Busy => true,
            Self::Migrations(_) | Self::MigrationDue => false,
        }
    }

    /// Logs what could not be done. That the database is away is in the log already, once.
    pub fn log(&self, what: &str) {
        if self.is_outage() {
            tracing::debug!(error = %self, "{what}");
        } else {
            tracing::error!(error = %self, "{what}");
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(Arc::new(error))
    }
}

/// What cannot be put into a row.
fn encoding(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Encode(Box::new(error))
}

/// An open database.
#[derive(Clone, Debug)]
pub struct Store {
    database: Database,
    readers: AnyPool,
    writer: Writer,
    runtime: Handle,
    reading: Arc<Availability>,
    writing: Arc<Availability>,
    /// How long anything may take.
    patience: Duration,
    /// Searches that may be under way at a time.
    searches: Arc<Semaphore>,
}

impl Store {
    /// The same database, for those who wait for no more than this.
    pub fn within(&self, patience: Duration) -> Self {
        Self {
            patience,
            ..self.clone()
        }
    }

    /// Commits a write, and answers with its outcome once it is safe on disk. A write that could not
    /// be begun in time is given up; of one that was under way, nobody knows.
    pub async fn write<W: Write>(&self, write: W) -> Result<W::Outcome, StoreError> {
        let result = timeout(self.patience, self.writer.write(write)).await;
        let result = result.unwrap_or(Err(StoreError::Late));
        match &result {
            Ok(_) => self.writing.is_there(),
            Err(StoreError::Database(error)) => self.writing.failed(error),
            Err(StoreError::Late) => self.writing.failed(&too_late()),
            Err(_) => {}
        }
        result
    }

    /// Whether the database can be read and written.
    pub async fn probe(&self) -> Result<(), StoreError> {
        let (read, written) = join(self.department_exists(0), self.write(Probe)).await;
        read.and(written)
    }

    /// Which database it is.
    pub fn database(&self) -> Database {
        self.database
    }
}

/// A write that changes nothing.
struct Probe;

impl Write for Probe {
    type Outcome = ();

    async fn apply(&self, connection: &mut Connection) -> Result<(), sqlx::Error> {
        sqlx::query("SELECT 1").execute(connection).await?;
        Ok(())
    }
}
