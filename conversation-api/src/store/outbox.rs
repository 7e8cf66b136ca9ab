//! What is to be sent: rows written in the transaction of what they tell of.
//!
//! A **lane** is a kind and a conversation; its rows are sent in the order of their sequence. Who
//! sends holds the lane's lease, so that a lane is never sent by two at once; a lease that was not
//! given back, because its holder was killed, ends by itself. On PostgreSQL several processes share
//! the lanes.
//!
//! Leases are measured with the database's clock alone. Lanes become due by the clock of whoever
//! wrote the row, or the database's, whichever is ahead.

use std::time::Duration;

use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{Row as _, query};

use super::{Connection, Database, Store, StoreError, Write, encoding};
use crate::clock::Timestamp;

/// Rows that one statement prunes, so that nobody waits long for it.
const PRUNED_AT_ONCE: i64 = 500;

/// What becomes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An event for the relay.
    Broadcast,
    /// A message for the customer.
    Whatsapp,
}

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Broadcast, Self::Whatsapp];

    /// As it is stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Broadcast => "broadcast",
            Self::Whatsapp => "whatsapp",
        }
    }
}

/// A row to be written.
#[derive(Debug)]
pub(super) struct Item<'i> {
    pub(super) kind: Kind,
    pub(super) conversation_id: i64,
    pub(super) sequence: i64,
    pub(super) event_id: &'i str,
    pub(super) created_at: Timestamp,
}

/// Adds a row, in the transaction that it tells of.
pub(super) async fn add(
    connection: &mut Connection,
    item: &Item<'_>,
    payload: &(impl Serialize + Sync),
) -> Result<(), sqlx::Error> {
    let payload = serde_json::to_string(payload).map_err(encoding)?;
    query(
        "INSERT INTO outbox (event_id, kind, conversation_id, sequence, payload, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(item.event_id)
    .bind(item.kind.name())
    .bind(item.conversation_id)
    .bind(item.sequence)
    .bind(payload)
    .bind(item.created_at.millis())
    .execute(&mut *connection)
    .await?;
    query(
        "INSERT INTO outbox_lanes (kind, conversation_id, due_at) VALUES ($1, $2, $3)
         ON CONFLICT (kind, conversation_id) DO UPDATE
         SET due_at = COALESCE(outbox_lanes.due_at, excluded.due_at)",
    )
    .bind(item.kind.name())
    .bind(item.conversation_id)
    .bind(item.created_at.millis())
    .execute(connection)
    .await?;
    Ok(())
}

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

/// Notes what became of a lane's rows, and gives its lease back.
#[derive(Debug)]
pub struct Settle {
    /// The lane.
    pub lane: Lane,
    /// The last row that was sent or is dead; none if the first one waits.
    pub done_up_to: Option<i64>,
    /// The rows among them that will never be sent, and why.
    pub dead: Vec<Dead>,
    /// What the messages that were sent are called at WhatsApp.
    pub whatsapp_ids: Vec<WhatsappId>,
    /// When to try again, if the next row failed.
    pub retry_in: Option<Duration>,
}

/// A row that will never be sent.
#[derive(Clone, Debug)]
pub struct Dead {
    /// The row's id.
    pub id: i64,
    /// Why.
    pub error: String,
    /// The message that it would have carried to the customer.
    pub message_id: Option<i64>,
}

/// What WhatsApp calls a message that it took.
#[derive(Clone, Debug)]
pub struct WhatsappId {
    /// The message.
    pub message_id: i64,
    /// WhatsApp's id.
    pub whatsapp_id: String,
}

/// What a lane is like once its lease is back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Nothing waits.
    Empty,
    /// More waits.
    Due,
}

impl Write for Settle {
    type Outcome = Settled;

    async fn apply(&self, connection: &mut Connection) -> Result<Settled, sqlx::Error> {
        let now = Timestamp::now();
        for dead in &self.dead {
            bury(connection, dead, now).await?;
        }
        for name in &self.whatsapp_ids {
            note_whatsapp_id(connection, name).await?;
        }
        if let Some(sequence) = self.done_up_to {
            query(
                "UPDATE outbox SET sent_at = $1 WHERE kind = $2 AND conversation_id = $3
                 AND sequence <= $4 AND sent_at IS NULL AND dead_at IS NULL",
            )
            .bind(now.millis())
            .bind(self.lane.kind.name())
            .bind(self.lane.conversation_id)
            .bind(sequence)
            .execute(&mut *connection)
            .await?;
        }
        self.release(connection, now).await
    }
}

impl Settle {
    /// Two statements: the first takes the lane's lock, so that the second sees every row whose
    /// writer had it before. A writer that comes later finds what the second one left.
    async fn release(
        &self,
        connection: &mut Connection,
        now: Timestamp,
    ) -> Result<Settled, sqlx::Error> {
        let failures = match self.retry_in {
            Some(_) if self.done_up_to.is_none() => self.lane.failures.saturating_add(1),
            Some(_) => 1,
            None => 0,
        };
        let released = query(
            "UPDATE outbox_lanes SET leased_by = NULL, leased_until = 0, failures = $4
             WHERE kind = $1 AND conversation_id = $2 AND leased_by = $3",
        )
        .bind(self.lane.kind.name())
        .bind(self.lane.conversation_id)
        .bind(self.lane.owner.as_str())
        .bind(i64::from(failures))
        .execute(&mut *connection)
        .await?;
        if released.rows_affected() == 0 {
            // The lease had ended: somebody else has it now, and will settle the rest.
            return Ok(Settled::Empty);
        }
        let retry_at = self.retry_in.map(|delay| now.after(delay).millis());
        let row = query(
            "UPDATE outbox_lanes SET due_at = (
                SELECT COALESCE($3, MIN(created_at)) FROM outbox
                WHERE kind = $1 AND conversation_id = $2 AND sent_at IS NULL AND dead_at IS NULL
                HAVING COUNT(*) > 0)
             WHERE kind = $1 AND conversation_id = $2 RETURNING due_at",
        )
        .bind(self.lane.kind.name())
        .bind(self.lane.conversation_id)
        .bind(retry_at)
        .fetch_one(connection)
        .await?;
        let due_at: Option<i64> = row.try_get("due_at")?;
        Ok(match due_at {
            Some(_) => Settled::Due,
            None => Settled::Empty,
        })
    }
}

async fn bury(connection: &mut Connection, dead: &Dead, now: Timestamp) -> Result<(), sqlx::Error> {
    query("UPDATE outbox SET dead_at = $2, error = $3 WHERE id = $1")
        .bind(dead.id)
        .bind(now.millis())
        .bind(dead.error.as_str())
        .execute(&mut *connection)
        .await?;
    if let Some(message_id) = dead.message_id {
        query("UPDATE messages SET status = 'failed' WHERE id = $1 AND status = 'pending'")
            .bind(message_id)
            .execute(connection)
            .await?;
    }
    Ok(())
}

async fn note_whatsapp_id(
    connection: &mut Connection,
    name: &WhatsappId,
) -> Result<(), sqlx::Error> {
    query(
        "UPDATE messages SET whatsapp_id = $2,
            status = CASE status WHEN 'pending' THEN 'sent' ELSE status END
         WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM messages WHERE whatsapp_id = $2)",
    )
    .bind(name.message_id)
    .bind(name.whatsapp_id.as_str())
    .execute(connection)
    .await?;
    Ok(())
}

/// Makes lanes that wait for another attempt due at once.
#[derive(Debug)]
pub struct RetryNow {
    /// Of which kind.
    pub kind: Kind,
}

impl Write for RetryNow {
    type Outcome = ();

    async fn apply(&self, connection: &mut Connection) -> Result<(), sqlx::Error> {
        query(
            "UPDATE outbox_lanes SET due_at = $2
             WHERE kind = $1 AND failures > 0 AND due_at > $2 AND leased_by IS NULL",
        )
        .bind(self.kind.name())
        .bind(Timestamp::now().millis())
        .execute(connection)
        .await?;
        Ok(())
    }
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
