//! Taking the leases of lanes.

use std::time::Duration;

use sqlx::any::AnyRow;
use sqlx::{Row as _, query};

use super::Kind;
use crate::clock::Timestamp;
use crate::store::{Connection, Database, Write};

/// A lane whose lease is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// What is sent.
    pub kind: Kind,
    /// The conversation.
    pub conversation_id: i64,
    /// Who holds the lease.
    pub owner: String,
    /// Attempts in a row that failed.
    pub failures: u32,
}

/// Takes the leases of lanes that are due, the longest due first.
#[derive(Debug)]
pub struct Claim {
    /// Which database this is for.
    pub database: Database,
    /// Of which kind.
    pub kind: Kind,
    /// A name that no other claim has.
    pub owner: String,
    /// At most so many.
    pub most: i64,
    /// For how long.
    pub lease: Duration,
}

const CLAIM_SQLITE: &str = "
    UPDATE outbox_lanes SET leased_by = $1,
        leased_until = CAST(unixepoch('subsec') * 1000 AS INTEGER) + $2
    WHERE kind = $3 AND conversation_id IN (
        SELECT conversation_id FROM outbox_lanes
        WHERE kind = $3
          AND due_at <= MAX($4, CAST(unixepoch('subsec') * 1000 AS INTEGER))
          AND leased_until <= CAST(unixepoch('subsec') * 1000 AS INTEGER)
        ORDER BY due_at LIMIT $5)
    RETURNING conversation_id, failures";

// Two claims at once pass over each other's lanes instead of waiting for them.
const CLAIM_POSTGRES: &str = "
    WITH moment AS MATERIALIZED (
        SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) AS now
    ), due AS MATERIALIZED (
        SELECT kind, conversation_id FROM outbox_lanes
        WHERE kind = $3
          AND due_at <= GREATEST($4, (SELECT now FROM moment))
          AND leased_until <= (SELECT now FROM moment)
        ORDER BY due_at LIMIT $5 FOR UPDATE SKIP LOCKED
    )
    UPDATE outbox_lanes SET leased_by = $1, leased_until = (SELECT now FROM moment) + $2
    FROM due
    WHERE outbox_lanes.kind = due.kind AND outbox_lanes.conversation_id = due.conversation_id
    RETURNING outbox_lanes.conversation_id, outbox_lanes.failures";

impl Write for Claim {
    type Outcome = Vec<Lane>;

    async fn apply(&self, connection: &mut Connection) -> Result<Vec<Lane>, sqlx::Error> {
        let statement = match self.database {
            Database::Sqlite => CLAIM_SQLITE,
            Database::Postgres => CLAIM_POSTGRES,
        };
        let rows = query(statement)
            .bind(self.owner.as_str())
            .bind(i64::try_from(self.lease.as_millis()).unwrap_or(i64::MAX))
            .bind(self.kind.name())
            .bind(Timestamp::now().millis())
            .bind(self.most)
            .fetch_all(connection)
            .await?;
        let lane = |row: &AnyRow| {
            let failures: i64 = row.try_get("failures")?;
            Ok(Lane {
                kind: self.kind,
                conversation_id: row.try_get("conversation_id")?,
                owner: self.owner.clone(),
                failures: u32::try_from(failures).unwrap_or(u32::MAX),
            })
        };
        rows.iter().map(lane).collect()
    }
}

/// Makes lanes that wait for another attempt due at once, or once they need no longer be left alone.
#[derive(Debug)]
pub struct RetryNow {
    /// Of which kind.
    pub kind: Kind,
}

impl Write for RetryNow {
    type Outcome = ();

    async fn apply(&self, connection: &mut Connection) -> Result<(), sqlx::Error> {
        query(
            "UPDATE outbox_lanes SET due_at =
                CASE WHEN left_alone_until > $2 THEN left_alone_until ELSE $2 END
             WHERE kind = $1 AND failures > 0 AND leased_by IS NULL
               AND due_at > CASE WHEN left_alone_until > $2 THEN left_alone_until ELSE $2 END",
        )
        .bind(self.kind.name())
        .bind(Timestamp::now().millis())
        .execute(connection)
        .await?;
        Ok(())
    }
}
