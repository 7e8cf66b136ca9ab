//! What waits, and forgetting what was sent.

use sqlx::any::AnyRow;
use sqlx::{Row as _, query};

use super::{Kind, Lane};
use crate::clock::Timestamp;
use crate::store::{Connection, Store, StoreError, Write};

/// Rows that one statement prunes, so that nobody waits long for it.
const PRUNED_AT_ONCE: i64 = 500;

/// A row that waits.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The row's id.
    pub id: i64,
    /// The event's id, the same in every attempt.
    pub event_id: String,
    /// The place in the lane.
    pub sequence: i64,
    /// What is sent, in JSON.
    pub payload: String,
    /// When it was written.
    pub created_at: Timestamp,
}

/// Forgets rows that were sent before a point in time: some of them, the oldest first.
#[derive(Debug)]
pub struct Prune {
    /// The point in time.
    pub sent_before: Timestamp,
}

impl Write for Prune {
    /// How many are gone; none once there are no more.
    type Outcome = u64;

    async fn apply(&self, connection: &mut Connection) -> Result<u64, sqlx::Error> {
        let pruned = query(
            "DELETE FROM outbox WHERE id IN (
                SELECT id FROM outbox WHERE sent_at < $1 ORDER BY sent_at LIMIT $2)",
        )
        .bind(self.sent_before.millis())
        .bind(PRUNED_AT_ONCE)
        .execute(connection)
        .await?;
        Ok(pruned.rows_affected())
    }
}

/// How much waits, and how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Rows that wait.
    pub waiting: i64,
    /// When the oldest of them was written.
    pub oldest: Option<Timestamp>,
    /// Rows that will never be sent.
    pub dead: i64,
}

impl Store {
    /// The rows that wait in a lane, in order.
    pub async fn waiting(&self, lane: &Lane, most: i64) -> Result<Vec<Waiting>, StoreError> {
        let rows = query(
            "SELECT id, event_id, sequence, payload, created_at FROM outbox
             WHERE kind = $1 AND conversation_id = $2 AND sent_at IS NULL AND dead_at IS NULL
             ORDER BY sequence LIMIT $3",
        )
        .bind(lane.kind.name())
        .bind(lane.conversation_id)
        .bind(most)
        .fetch_all(&mut *self.reader().await?)
        .await?;
        let waiting = |row: &AnyRow| {
            Ok(Waiting {
                id: row.try_get("id")?,
                event_id: row.try_get("event_id")?,
                sequence: row.try_get("sequence")?,
                payload: row.try_get("payload")?,
                created_at: Timestamp::from_millis(row.try_get("created_at")?),
            })
        };
        rows.iter().map(waiting).collect()
    }

    /// How much of a kind waits.
    pub async fn backlog(&self, kind: Kind) -> Result<Backlog, StoreError> {
        let row = query(
            "SELECT COUNT(*) AS waiting, MIN(created_at) AS oldest,
                (SELECT COUNT(*) FROM outbox WHERE kind = $1 AND dead_at IS NOT NULL) AS dead
             FROM outbox WHERE kind = $1 AND sent_at IS NULL AND dead_at IS NULL",
        )
        .bind(kind.name())
        .fetch_one(&mut *self.reader().await?)
        .await?;
        let oldest: Option<i64> = row.try_get("oldest")?;
        Ok(Backlog {
            waiting: row.try_get("waiting")?,
            oldest: oldest.map(Timestamp::from_millis),
            dead: row.try_get("dead")?,
        })
    }
}
