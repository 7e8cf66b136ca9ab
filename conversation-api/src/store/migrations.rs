//! The schema's versions, which are part of the program.

use std::borrow::Cow;
use std::sync::Arc;

use sqlx::migrate::{Migrate as _, MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AnyPool, SqlSafeStr as _};

use super::StoreError;
use super::database::Database;

/// Version, description and SQL of each.
type Source = (i64, &'static str, &'static str);

const SQLITE: &[Source] = &[
    (
        1,
        "conversations",
        include_str!("../../migrations/sqlite/0001_conversations.sql"),
    ),
    (
        2,
        "evictions",
        include_str!("../../migrations/sqlite/0002_evictions.sql"),
    ),
    (
        3,
        "messages",
        include_str!("../../migrations/sqlite/0003_messages.sql"),
    ),
    (
        4,
        "states of conversations",
        include_str!("../../migrations/sqlite/0004_conversations.sql"),
    ),
    (
        5,
        "versions of messages",
        include_str!("../../migrations/sqlite/0005_versions.sql"),
    ),
    (
        6,
        "lanes that are made due",
        include_str!("../../migrations/sqlite/0006_lanes.sql"),
    ),
    (
        7,
        "lanes that are left alone",
        include_str!("../../migrations/sqlite/0007_left_alone.sql"),
    ),
    (
        8,
        "replies that have failed",
        include_str!("../../migrations/sqlite/0008_failed_replies.sql"),
    ),
    (
        9,
        "who loses a moved conversation",
        include_str!("../../migrations/sqlite/0009_former_department.sql"),
    ),
    (
        10,
        "indexes of what is open and kept",
        include_str!("../../migrations/sqlite/0010_indexes.sql"),
    ),
];

const POSTGRES: &[Source] = &[
    (
        1,
        "conversations",
        include_str!("../../migrations/postgres/0001_conversations.sql"),
    ),
    (
        2,
        "evictions",
        include_str!("../../migrations/postgres/0002_evictions.sql"),
    ),
    (
        3,
        "messages",
        include_str!("../../migrations/postgres/0003_messages.sql"),
    ),
    (
        4,
        "states of conversations",
        include_str!("../../migrations/postgres/0004_conversations.sql"),
    ),
    (
        5,
        "versions of messages",
        include_str!("../../migrations/postgres/0005_versions.sql"),
    ),
    (
        6,
        "lanes that are made due",
        include_str!("../../migrations/postgres/0006_lanes.sql"),
    ),
    (
        7,
        "lanes that are left alone",
        include_str!("../../migrations/postgres/0007_left_alone.sql"),
    ),
    (
        8,
        "replies that have failed",
        include_str!("../../migrations/postgres/0008_failed_replies.sql"),
    ),
    (
        9,
        "who loses a moved conversation",
        include_str!("../../migrations/postgres/0009_former_department.sql"),
    ),
    (
        10,
        "indexes of what is open and kept",
        include_str!("../../migrations/postgres/0010_indexes.sql"),
    ),
];

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> Self {
        Self::Migrations(Arc::new(error))
    }
}

/// Runs the migrations that are due; returns how many.
pub(super) async fn run(database: Database, pool: &AnyPool) -> Result<usize, StoreError> {
    let due = due(database, pool).await?;
    migrator(database).run(pool).await?;
    Ok(due)
}

/// Whether the schema is up to date.
pub(super) async fn are_done(database: Database, pool: &AnyPool) -> Result<bool, StoreError> {
    Ok(due(database, pool).await? == 0)
}

async fn due(database: Database, pool: &AnyPool) -> Result<usize, StoreError> {
    let migrator = migrator(database);
    let mut connection = pool.acquire().await?;
    connection
        .ensure_migrations_table(&migrator.table_name)
        .await?;
    let applied = connection
        .list_applied_migrations(&migrator.table_name)
        .await?;
    let is_due = |migration: &&Migration| {
        !applied
            .iter()
            .any(|applied| applied.version == migration.version)
    };
    Ok(migrator.iter().filter(is_due).count())
}

fn migrator(database: Database) -> Migrator {
    let sources = match database {
        Database::Sqlite => SQLITE,
        Database::Postgres => POSTGRES,
    };
    let migration = |&(version, description, sql): &Source| {
        let description = Cow::Borrowed(description);
        Migration::new(
            version,
            description,
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    };
    Migrator {
        migrations: sources.iter().map(migration).collect(),
        ..Migrator::DEFAULT
    }
}
