//! The versions of Fanfare's own table, which are part of the program.

use std::borrow::Cow;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, Row as _, SqlSafeStr as _};

use super::place::Kind;

/// Where it is kept which of them are done. Others who keep theirs in the same database use another table.
const DONE: &str = "fanfare_migrations";

/// Version, description and SQL of each.
type Source = (i64, &'static str, &'static str);

const SQLITE: &[Source] = &[(1, "apps", include_str!("migrations/sqlite/0001_apps.sql"))];
const POSTGRES: &[Source] = &[(1, "apps", include_str!("migrations/postgres/0001_apps.sql"))];
const MYSQL: &[Source] = &[(1, "apps", include_str!("migrations/mysql/0001_apps.sql"))];

/// Brings the table up to date. Several nodes may do so at the same time.
pub(super) async fn run(kind: Kind, connection: &mut AnyConnection) -> Result<(), MigrateError> {
    let migrator = migrator(kind);
    // Whoever may only read reads a table that another node has made.
    if are_done(&migrator, connection).await {
        return Ok(());
    }
    migrator.run_direct(None, connection, false).await
}

async fn are_done(migrator: &Migrator, connection: &mut AnyConnection) -> bool {
    let statement = "SELECT MAX(version) FROM fanfare_migrations";
    let row = sqlx::query(statement).fetch_one(connection).await;
    let last = row.and_then(|row| row.try_get::<Option<i64>, _>(0));
    let newest = migrator.iter().map(|migration| migration.version).max();
    // A newer program's are none of this one's business.
    last.is_ok_and(|last| last >= newest)
}

fn migrator(kind: Kind) -> Migrator {
    let sources = match kind {
        Kind::Sqlite => SQLITE,
        Kind::Postgres => POSTGRES,
        Kind::Mysql => MYSQL,
    };
    let migration = |&(version, description, sql): &Source| {
        let description = Cow::Borrowed(description);
        let kind = MigrationType::Simple;
        Migration::new(version, description, kind, sql.into_sql_str(), false)
    };
    let mut migrator = Migrator {
        migrations: sources.iter().map(migration).collect(),
        ..Migrator::DEFAULT
    };
    migrator.dangerous_set_table_name(DONE);
    migrator.set_ignore_missing(true);
    migrator
}
