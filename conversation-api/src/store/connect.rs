//! Opening a database.

use std::sync::{Arc, Once};
use std::time::Duration;

use sqlx::any::AnyPoolOptions;
use sqlx::{AnyPool, Executor as _};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::availability::Availability;
use super::database::{Database, DatabaseUrl};
use super::writer::{Style, Writer};
use super::{Connection, Store, StoreError, migrations};

/// How long anything waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long anything may take, for those who are not in a hurry.
const PATIENCE: Duration = Duration::from_secs(10);
/// Searches at a time, so that others can be answered beside them.
const SEARCHES: usize = 2;

impl Store {
    /// Opens a database whose schema is up to date.
    ///
    /// # Errors
    /// [`StoreError::MigrationDue`] when it is not.
    pub async fn open(url: &DatabaseUrl) -> Result<Self, StoreError> {
        let database = url.database();
        let readers = pool(url, database.readers()).await?;
        if !migrations::are_done(database, &readers).await? {
            return Err(StoreError::MigrationDue);
        }
        let style = database.writing();
        let writer = Writer::start(pool(url, style.connections).await?, style);
        Ok(Self {
            database,
            readers,
            writer,
            runtime: Handle::current(),
            reading: Arc::new(Availability::of("read")),
            writing: Arc::new(Availability::of("write")),
            patience: PATIENCE,
            searches: Arc::new(Semaphore::new(SEARCHES)),
        })
    }

    /// Brings a database's schema up to date, creating a SQLite file that is not there. Returns
    /// how many migrations were due.
    pub async fn migrate(url: &DatabaseUrl) -> Result<usize, StoreError> {
        let pool = pool(url, 1).await?;
        let due = migrations::run(url.database(), &pool).await?;
        pool.close().await;
        Ok(due)
    }

    /// Commits what was handed in, and closes all connections.
    pub async fn close(&self) {
        self.writer.close().await;
        self.readers.close().await;
    }
}

impl Database {
    /// Connections for reading.
    const fn readers(self) -> u32 {
        match self {
            // Each has a thread of its own.
            Self::Sqlite => 4,
            Self::Postgres => 8,
        }
    }

    /// How writes are committed.
    const fn writing(self) -> Style {
        match self {
            // There is one writer at a time, and a commit waits for the disk: so many writes
            // share one.
            Self::Sqlite => Style {
                begin: "BEGIN IMMEDIATE",
                connections: 1,
                most_together: 256,
            },
            // Writers work side by side. Sharing a transaction would make them wait for each
            // other's row locks.
            Self::Postgres => Style {
                begin: "BEGIN",
                connections: 8,
                most_together: 1,
            },
        }
    }
}

async fn pool(url: &DatabaseUrl, connections: u32) -> Result<AnyPool, sqlx::Error> {
    static DRIVERS: Once = Once::new();
    DRIVERS.call_once(sqlx::any::install_default_drivers);
    let database = url.database();
    AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A file does not go away while it is open; a server may.
        .test_before_acquire(database == Database::Postgres)
        .after_connect(move |connection, _| Box::pin(prepare(database, connection)))
        .connect_with(url.options()?)
        .await
}

/// Sets a fresh connection up.
async fn prepare(database: Database, connection: &mut Connection) -> Result<(), sqlx::Error> {
    if database == Database::Sqlite {
        // FULL: what was answered with 201 survives a power cut. Group commits pay for it.
        let settings = "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; \
                        PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON";
        connection.execute(settings).await?;
    }
    Ok(())
}
