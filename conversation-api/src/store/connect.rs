//! Opening a database.

use std::fmt;
use std::str::FromStr;
use std::sync::Once;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyPool, ConnectOptions as _, Executor as _};
use tokio::runtime::Handle;

use super::writer::{Style, Writer};
use super::{Connection, Store, StoreError, migrations};

/// How long a request waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// The databases that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// Embedded: a file beside the process.
    Sqlite,
    /// A server, which several processes may share.
    Postgres,
}

/// Where a database is. A password in it does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl {
    url: String,
    database: Database,
}

/// A URL that names no database that is supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected sqlite://FILE or postgres://USER:PASSWORD@HOST/NAME")]
pub struct InvalidUrl;

impl FromStr for DatabaseUrl {
    type Err = InvalidUrl;

    fn from_str(url: &str) -> Result<Self, InvalidUrl> {
        let (scheme, rest) = url.split_once(':').ok_or(InvalidUrl)?;
        let database = match scheme {
            "sqlite" => Database::Sqlite,
            "postgres" | "postgresql" => Database::Postgres,
            _ => return Err(InvalidUrl),
        };
        // Each connection would have an in-memory database of its own.
        let names_nothing = rest.trim_start_matches('/').is_empty() || rest.contains(":memory:");
        if names_nothing || AnyConnectOptions::from_str(url).is_err() {
            return Err(InvalidUrl);
        }
        Ok(Self {
            url: url.into(),
            database,
        })
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("DatabaseUrl")
            .field(&self.database)
            .finish()
    }
}

impl DatabaseUrl {
    /// Which database it names.
    pub fn database(&self) -> Database {
        self.database
    }

    fn options(&self) -> Result<AnyConnectOptions, sqlx::Error> {
        let mut url = self.url.clone();
        if self.database == Database::Sqlite && !url.contains("mode=") {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str("mode=rwc");
        }
        let options = AnyConnectOptions::from_str(&url)?;
        Ok(options.disable_statement_logging())
    }
}

impl Store {
    /// Opens a database whose schema is up to date.
    ///
    /// # Errors
    /// [`StoreError::MigrationDue`] when it is not.
    pub async fn open(url: &DatabaseUrl) -> Result<Self, StoreError> {
        let database = url.database;
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
        })
    }

    /// Brings a database's schema up to date, creating a SQLite file that is not there. Returns
    /// how many migrations were due.
    pub async fn migrate(url: &DatabaseUrl) -> Result<usize, StoreError> {
        let pool = pool(url, 1).await?;
        let due = migrations::run(url.database, &pool).await?;
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
    let database = url.database;
    AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A file does not go away while it is open; a server may.
        .test_before_acquire(database == Database::Postgres)
        .after_connect(move |connection, _| Box::pin(prepare(database, connection)))
        .connect_with(url.options()?)
        .await
}

/// What a fresh connection is told.
async fn prepare(database: Database, connection: &mut Connection) -> Result<(), sqlx::Error> {
    if database == Database::Sqlite {
        // FULL: what was answered with 201 survives a power cut. Group commits pay for it.
        let settings = "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; \
                        PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON";
        connection.execute(settings).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_both_databases_are_known() {
        for (url, database) in [
            ("sqlite://desk.db", Database::Sqlite),
            ("sqlite:///var/lib/desk.db", Database::Sqlite),
            ("postgres://desk:secret@localhost/desk", Database::Postgres),
            ("postgresql://localhost/desk", Database::Postgres),
        ] {
            let url: DatabaseUrl = url.parse().unwrap();
            assert_eq!(url.database(), database);
            assert!(!format!("{url:?}").contains("secret"));
        }
        for url in [
            "",
            "desk.db",
            "mysql://localhost/desk",
            "sqlite://",
            "sqlite::memory:",
        ] {
            assert_eq!(url.parse::<DatabaseUrl>(), Err(InvalidUrl), "{url}");
        }
    }
}
