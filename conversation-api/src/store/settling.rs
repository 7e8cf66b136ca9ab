//! Noting what was sent, and giving leases back.

use std::time::Duration;

use sqlx::{Row as _, query};

use super::outbox::Lane;
use super::updates::{announce, take_turn};
use super::{Connection, Database, Write, encoding};
use crate::clock::Timestamp;
use crate::message::Failure;

/// Notes what became of a lane's rows, and gives its lease back.
#[derive(Debug)]
pub struct Settle {
    /// Which database this is for.
    pub database: Database,
    /// The lane.
    pub lane: Lane,
    /// The last row that was sent or is dead; none if the first one waits.
    pub done_up_to: Option<i64>,
    /// The rows among them that will never be sent.
    pub dead: Vec<Dead>,
    /// What the messages that were sent are called at WhatsApp.
    pub whatsapp_ids: Vec<WhatsappId>,
    /// When to try again, if the next row failed.
    pub retry_in: Option<Duration>,
    /// How long the target asked to be left alone with this lane.
    pub asked_for: Option<Duration>,
}

/// A row that will never be sent. It stays until somebody has looked at it, unless its message says
/// why it failed: that is for its agents, who can send it again.
#[derive(Clone, Debug)]
pub struct Dead {
    /// The row's id.
    pub id: i64,
    /// Why.
    pub error: String,
    /// The message that it would have carried to the customer, and why it did not.
    pub failed: Option<(i64, Failure)>,
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
        let conversation_id = self.lane.conversation_id;
        for dead in &self.dead {
            bury(connection, conversation_id, dead, now).await?;
        }
        for name in &self.whatsapp_ids {
            note_whatsapp_id(connection, conversation_id, name).await?;
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
    async fn release(
        &self,
        connection: &mut Connection,
        now: Timestamp,
    ) -> Result<Settled, sqlx::Error> {
        if self.database == Database::Postgres {
            // This takes the lane's lock, so that the next statement sees every row whose writer had
            // it before. A writer that comes later finds what that one left.
            query("SELECT 1 FROM outbox_lanes WHERE kind = $1 AND conversation_id = $2 FOR UPDATE")
                .bind(self.lane.kind.name())
                .bind(self.lane.conversation_id)
                .execute(&mut *connection)
                .await?;
        }
        let failures = match self.retry_in {
            Some(_) if self.done_up_to.is_none() => self.lane.failures.saturating_add(1),
            Some(_) => 1,
            None => 0,
        };
        let row = query(
            "UPDATE outbox_lanes SET leased_by = NULL, leased_until = 0, failures = $4,
                left_alone_until = $6, due_at = (
                SELECT COALESCE($5, MIN(created_at)) FROM outbox
                WHERE kind = $1 AND conversation_id = $2 AND sent_at IS NULL AND dead_at IS NULL
                HAVING COUNT(*) > 0)
             WHERE kind = $1 AND conversation_id = $2 AND leased_by = $3 RETURNING due_at",
        )
        .bind(self.lane.kind.name())
        .bind(self.lane.conversation_id)
        .bind(self.lane.owner.as_str())
        .bind(i64::from(failures))
        .bind(self.retry_in.map(|delay| now.after(delay).millis()))
        .bind(self.asked_for.map(|asked| now.after(asked).millis()))
        .fetch_optional(connection)
        .await?;
        let due_at: Option<i64> = match row {
            Some(row) => row.try_get("due_at")?,
            // The lease had ended: somebody else has it now, and will settle the rest.
            None => None,
        };
        Ok(match due_at {
            Some(_) => Settled::Due,
            None => Settled::Empty,
        })
    }
}

async fn bury(
    connection: &mut Connection,
    conversation_id: i64,
    dead: &Dead,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let dead_at = dead.failed.is_none().then_some(now.millis());
    query("UPDATE outbox SET dead_at = $2, error = $3 WHERE id = $1")
        .bind(dead.id)
        .bind(dead_at)
        .bind(dead.error.as_str())
        .execute(&mut *connection)
        .await?;
    let Some((message_id, failure)) = &dead.failed else {
        return Ok(());
    };
    let turn = take_turn(connection, conversation_id).await?;
    let failed = query(
        "UPDATE messages SET status = 'failed', error = $2, version = $3
         WHERE id = $1 AND status = 'pending'",
    )
    .bind(*message_id)
    .bind(serde_json::to_string(failure).map_err(encoding)?)
    .bind(turn.sequence)
    .execute(&mut *connection)
    .await?;
    if failed.rows_affected() > 0 {
        announce(connection, turn, *message_id).await?;
    }
    Ok(())
}

async fn note_whatsapp_id(
    connection: &mut Connection,
    conversation_id: i64,
    name: &WhatsappId,
) -> Result<(), sqlx::Error> {
    let turn = take_turn(connection, conversation_id).await?;
    let noted = query(
        "UPDATE messages SET whatsapp_id = $2, version = $3,
            status = CASE status WHEN 'pending' THEN 'sent' ELSE status END
         WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM messages WHERE whatsapp_id = $2)",
    )
    .bind(name.message_id)
    .bind(name.whatsapp_id.as_str())
    .bind(turn.sequence)
    .execute(&mut *connection)
    .await?;
    if noted.rows_affected() > 0 {
        announce(connection, turn, name.message_id).await?;
    }
    Ok(())
}
