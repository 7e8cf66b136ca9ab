//! A database of the test's own, filled by `seed`.

use std::process::Command;
use std::sync::OnceLock;

use sqlx::any::AnyPoolOptions;
use sqlx::{AnyPool, Row as _, SqlSafeStr};
use tempfile::TempDir;

use super::postgres::Postgres;

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    pub(crate) const BOTH: [Kind; 2] = [Kind::Sqlite, Kind::Postgres];
}

/// A database that is gone when this is.
pub(crate) struct Database {
    pub(crate) url: String,
    _directory: TempDir,
    server: Option<Postgres>,
}

impl Database {
    /// With demonstration data.
    pub(crate) async fn seeded(kind: Kind) -> Database {
        let database = Database::empty(kind).await;
        match kind {
            Kind::Sqlite => {
                let copy = &database.url["sqlite://".len()..];
                std::fs::write(copy, template()).expect("the temporary directory is writable");
            }
            Kind::Postgres => {
                run(&["migrate"], &database.url);
                run(&["seed"], &database.url);
            }
        }
        database
    }

    /// Without even a schema.
    pub(crate) async fn empty(kind: Kind) -> Database {
        let directory = tempfile::tempdir().expect("the temporary directory is writable");
        let server = match kind {
            Kind::Sqlite => None,
            Kind::Postgres => Some(Postgres::start(directory.path()).await),
        };
        let url = match &server {
            None => format!("sqlite://{}", directory.path().join("desk.db").display()),
            Some(server) => server.url(),
        };
        Database {
            url,
            _directory: directory,
            server,
        }
    }

    /// The PostgreSQL server.
    pub(crate) fn server(&mut self) -> &mut Postgres {
        self.server.as_mut().expect("it is PostgreSQL")
    }

    /// The one number that a query answers with.
    pub(crate) async fn number(&self, query: impl SqlSafeStr) -> i64 {
        let pool = self.pool().await;
        let row = sqlx::query(query).fetch_one(&pool).await.unwrap();
        pool.close().await;
        row.try_get(0).unwrap()
    }

    /// The texts that a query answers with.
    pub(crate) async fn texts(&self, query: impl SqlSafeStr) -> Vec<String> {
        let pool = self.pool().await;
        let rows = sqlx::query(query).fetch_all(&pool).await.unwrap();
        pool.close().await;
        rows.iter().map(|row| row.try_get(0).unwrap()).collect()
    }

    /// Changes something behind the process's back.
    pub(crate) async fn execute(&self, statement: impl SqlSafeStr) {
        let pool = self.pool().await;
        sqlx::query(statement).execute(&pool).await.unwrap();
        pool.close().await;
    }

    /// How many rows each table has that a stranger might want to fill.
    pub(crate) async fn contents(&self) -> [i64; 6] {
        [
            self.number("SELECT COUNT(*) FROM users").await,
            self.number("SELECT COUNT(*) FROM tokens").await,
            self.number("SELECT COUNT(*) FROM contacts").await,
            self.number("SELECT COUNT(*) FROM conversations").await,
            self.number("SELECT COUNT(*) FROM messages").await,
            self.number("SELECT COUNT(*) FROM outbox").await,
        ]
    }

    pub(crate) async fn pool(&self) -> AnyPool {
        sqlx::any::install_default_drivers();
        let pool = AnyPoolOptions::new().max_connections(1);
        pool.connect(&self.url).await.expect("the database is up")
    }
}

/// A seeded SQLite file, made once for all tests: hashing passwords takes a while.
fn template() -> &'static [u8] {
    static TEMPLATE: OnceLock<Vec<u8>> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let directory = tempfile::tempdir().expect("the temporary directory is writable");
        let file = directory.path().join("template.db");
        run(&["seed"], &format!("sqlite://{}", file.display()));
        std::fs::read(file).expect("seed has made it")
    })
}

/// Runs a command of the program, which must succeed; returns what it printed.
pub(crate) fn run(arguments: &[&str], database_url: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_conversation-api"))
        .args(arguments)
        .args(["--env-file", "/dev/null"])
        .env_clear()
        .env("DATABASE_URL", database_url)
        .output()
        .expect("the program starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}
