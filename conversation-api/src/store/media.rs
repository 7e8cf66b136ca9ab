//! The files of messages that are to be fetched. Leases are taken, measured and lost as those of
//! the outbox's lanes.

use std::time::Duration;

use sqlx::any::AnyRow;
use sqlx::{Row as _, query};

use super::updates::{announce, take_turn};
use super::{Connection, Database, Store, StoreError, Write};
use crate::clock::Timestamp;

/// A file whose lease is held.
#[derive(Clone, Debug)]
pub struct PendingMedia {
    /// The message that it belongs to.
    pub message_id: i64,
    /// WhatsApp's id of it.
    pub media_id: String,
    /// What it is said to be.
    pub mime_type: String,
    /// Who holds the lease.
    pub owner: String,
    /// Attempts that failed.
    pub failures: u32,
    /// When its message arrived.
    pub created_at: Timestamp,
}

/// Takes the leases of files that are due, the longest due first.
#[derive(Debug)]
pub struct ClaimMedia {
    /// Which database this is for.
    pub database: Database,
    /// A name that no other claim has.
    pub owner: String,
    /// At most so many.
    pub most: i64,
    /// For how long.
    pub lease: Duration,
}

const CLAIM_SQLITE: &str = "
    UPDATE media SET leased_by = $1,
        leased_until = CAST(unixepoch('subsec') * 1000 AS INTEGER) + $2
    WHERE message_id IN (
        SELECT message_id FROM media
        WHERE state = 'pending'
          AND due_at <= MAX($3, CAST(unixepoch('subsec') * 1000 AS INTEGER))
          AND leased_until <= CAST(unixepoch('subsec') * 1000 AS INTEGER)
        ORDER BY due_at LIMIT $4)
    RETURNING message_id, media_id, mime_type, failures, created_at";

// Two claims at once pass over each other's files instead of waiting for them.
const CLAIM_POSTGRES: &str = "
    WITH moment AS MATERIALIZED (
        SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) AS now
    ), due AS MATERIALIZED (
        SELECT message_id FROM media
        WHERE state = 'pending'
          AND due_at <= GREATEST($3, (SELECT now FROM moment))
          AND leased_until <= (SELECT now FROM moment)
        ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED
    )
    UPDATE media SET leased_by = $1, leased_until = (SELECT now FROM moment) + $2
    FROM due WHERE media.message_id = due.message_id
    RETURNING media.message_id, media.media_id, media.mime_type, media.failures, media.created_at";

impl Write for ClaimMedia {
    type Outcome = Vec<PendingMedia>;

    async fn apply(&self, connection: &mut Connection) -> Result<Vec<PendingMedia>, sqlx::Error> {
        let statement = match self.database {
            Database::Sqlite => CLAIM_SQLITE,
            Database::Postgres => CLAIM_POSTGRES,
        };
        let rows = query(statement)
            .bind(self.owner.as_str())
            .bind(i64::try_from(self.lease.as_millis()).unwrap_or(i64::MAX))
            .bind(Timestamp::now().millis())
            .bind(self.most)
            .fetch_all(connection)
            .await?;
        let pending = |row: &AnyRow| {
            let failures: i64 = row.try_get("failures")?;
            Ok(PendingMedia {
                message_id: row.try_get("message_id")?,
                media_id: row.try_get("media_id")?,
                mime_type: row.try_get("mime_type")?,
                owner: self.owner.clone(),
                failures: u32::try_from(failures).unwrap_or(u32::MAX),
                created_at: Timestamp::from_millis(row.try_get("created_at")?),
            })
        };
        rows.iter().map(pending).collect()
    }
}

/// Holds a lease for longer.
#[derive(Debug)]
pub struct RenewMedia {
    /// Which database this is for.
    pub database: Database,
    /// The file.
    pub message_id: i64,
    /// Who holds the lease.
    pub owner: String,
    /// For how long from now.
    pub lease: Duration,
}

impl Write for RenewMedia {
    /// Whether the lease was still held.
    type Outcome = bool;

    async fn apply(&self, connection: &mut Connection) -> Result<bool, sqlx::Error> {
        let statement = match self.database {
            Database::Sqlite => {
                "UPDATE media SET leased_until = CAST(unixepoch('subsec') * 1000 AS INTEGER) + $3
                 WHERE message_id = $1 AND leased_by = $2"
            }
            Database::Postgres => {
                "UPDATE media SET leased_until =
                    CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) + $3
                 WHERE message_id = $1 AND leased_by = $2"
            }
        };
        let renewed = query(statement)
            .bind(self.message_id)
            .bind(self.owner.as_str())
            .bind(i64::try_from(self.lease.as_millis()).unwrap_or(i64::MAX))
            .execute(connection)
            .await?;
        Ok(renewed.rows_affected() > 0)
    }
}

/// Notes what came of fetching a file, announces it, and gives the lease back.
#[derive(Debug)]
pub struct SettleMedia {
    /// The file.
    pub message_id: i64,
    /// Who holds the lease.
    pub owner: String,
    /// What came of it.
    pub fetched: Fetched,
}

/// What came of fetching a file.
#[derive(Clone, Debug)]
pub enum Fetched {
    /// It is here.
    Ready {
        /// What is in it.
        mime_type: &'static str,
        /// Its size in bytes.
        size: i64,
    },
    /// It is to be tried again.
    Later {
        /// Why.
        error: String,
        /// When.
        after: Duration,
    },
    /// It will not come.
    Unavailable {
        /// Why.
        error: String,
    },
}

impl Write for SettleMedia {
    type Outcome = ();

    async fn apply(&self, connection: &mut Connection) -> Result<(), sqlx::Error> {
        if let Fetched::Later { error, after } = &self.fetched {
            query(
                "UPDATE media SET leased_by = NULL, leased_until = 0, failures = failures + 1,
                    due_at = $3, error = $4
                 WHERE message_id = $1 AND leased_by = $2",
            )
            .bind(self.message_id)
            .bind(self.owner.as_str())
            .bind(Timestamp::now().after(*after).millis())
            .bind(error.as_str())
            .execute(connection)
            .await?;
            return Ok(());
        }
        let row = query("SELECT conversation_id FROM messages WHERE id = $1")
            .bind(self.message_id)
            .fetch_one(&mut *connection)
            .await?;
        let turn = take_turn(connection, row.try_get("conversation_id")?).await?;
        let (state, mime_type, size, error) = match &self.fetched {
            Fetched::Ready { mime_type, size } => ("ready", Some(*mime_type), Some(*size), None),
            Fetched::Later { error, .. } | Fetched::Unavailable { error } => {
                ("unavailable", None, None, Some(error.as_str()))
            }
        };
        let settled = query(
            "UPDATE media SET state = $3, mime_type = COALESCE($4, mime_type), size = $5,
                error = $6, leased_by = NULL, leased_until = 0
             WHERE message_id = $1 AND leased_by = $2",
        )
        .bind(self.message_id)
        .bind(self.owner.as_str())
        .bind(state)
        .bind(mime_type)
        .bind(size)
        .bind(error)
        .execute(&mut *connection)
        .await?;
        if settled.rows_affected() > 0 {
            query("UPDATE messages SET version = $2 WHERE id = $1")
                .bind(self.message_id)
                .bind(turn.sequence)
                .execute(&mut *connection)
                .await?;
            announce(connection, turn, self.message_id).await?;
        }
        Ok(())
    }
}

impl Store {
    /// Whether there are files to be fetched now, by anybody.
    pub async fn has_due_media(&self) -> Result<bool, StoreError> {
        let row = query("SELECT 1 FROM media WHERE state = 'pending' AND due_at <= $1 LIMIT 1")
            .bind(Timestamp::now().millis())
            .fetch_optional(&mut *self.reader().await?)
            .await?;
        Ok(row.is_some())
    }

    /// How many bytes the files that are here have together.
    pub async fn media_bytes(&self) -> Result<i64, StoreError> {
        let row = query(
            "SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) AS bytes FROM media
             WHERE state = 'ready'",
        )
        .fetch_one(&mut *self.reader().await?)
        .await?;
        Ok(row.try_get("bytes")?)
    }
}
