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
//! - [`writer`]: how writes are committed
//! - [`users`], [`tokens`], [`departments`]: who works here
//! - [`conversations`], [`listing`], [`messages`], [`retry`]: what is seen and written in the inbox
//! - [`assignments`], [`lifecycle`], [`reads`]: what is done there; [`announcements`]: its events
//! - [`ownership`]: whose a conversation is; [`message_rows`]: reading messages
//! - [`incoming`], [`statuses`]: what WhatsApp reports; [`updates`]: announcing that a message changed
//! - [`media`]: fetching files
//! - [`outbox`]: what is to be sent
//! - [`evictions`], [`notices`]: whose connections are to end, and what they get before
//! - [`demo`]: demonstration data

pub mod announcements;
pub mod assignments;
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
pub mod reads;
pub mod retry;
pub mod statuses;
pub mod tokens;
mod updates;
pub mod users;
mod writer;

use std::sync::Arc;

use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyPool};
use tokio::runtime::Handle;

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
}

impl Store {
    /// Commits a write, and answers with its outcome once it is safe on disk.
    pub async fn write<W: Write>(&self, write: W) -> Result<W::Outcome, StoreError> {
        self.writer.write(write).await
    }

    /// Which database it is.
    pub fn database(&self) -> Database {
        self.database
    }

    /// A connection for reading.
    ///
    /// A connection to a server lives by the runtime that it was made on. Workers have runtimes
    /// of their own, which end before the last pass of the outbox: so connections are made on the
    /// one that the store was opened on.
    async fn reader(&self) -> Result<PoolConnection<Any>, StoreError> {
        let acquire = self.readers.acquire();
        match self.database {
            Database::Sqlite => Ok(acquire.await?),
            Database::Postgres => {
                let acquired = self.runtime.spawn(acquire).await;
                Ok(acquired.map_err(|_| StoreError::Closed)??)
            }
        }
    }
}
