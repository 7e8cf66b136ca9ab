//! Sending rows again that were given up.

use sqlx::any::AnyRow;
use sqlx::{Row as _, query};

use super::updates::take_turn;
use super::{Connection, Store, StoreError, Write};
use crate::clock::Timestamp;

/// Rows of one write: they lock their conversations.
const AT_ONCE: i64 = 100;

/// Puts rows that were given up on their way again, under the same event ids: some of them, the
/// oldest first. They go behind what waits in their conversation, as a lane's rows are noted to be
/// sent up to a place in its order.
#[derive(Debug)]
pub struct Revive {
    /// The last of them, so that what is given up again in the meantime is left.
    pub up_to: i64,
}

/// A row that was given up.
struct GivenUp {
    id: i64,
    event_id: String,
    kind: String,
    conversation_id: i64,
    payload: String,
}

impl Write for Revive {
    /// How many there were; none once there are no more.
    type Outcome = u64;

    async fn apply(&self, connection: &mut Connection) -> Result<u64, sqlx::Error> {
        // First, so that of two who do this one gets each row.
        let rows = query(
            "DELETE FROM outbox WHERE dead_at IS NOT NULL AND id IN (
                SELECT id FROM outbox WHERE dead_at IS NOT NULL AND id <= $1 ORDER BY id LIMIT $2)
             RETURNING id, event_id, kind, conversation_id, payload",
        )
        .bind(self.up_to)
        .bind(AT_ONCE)
        .fetch_all(&mut *connection)
        .await?;
        let rows: Result<Vec<GivenUp>, _> = rows.iter().map(given_up).collect();
        let mut rows = rows?;
        rows.sort_unstable_by_key(|row| (row.conversation_id, row.id));
        for row in &rows {
            row.add_again(connection).await?;
        }
        Ok(u64::try_from(rows.len()).unwrap_or(u64::MAX))
    }
}

fn given_up(row: &AnyRow) -> Result<GivenUp, sqlx::Error> {
    Ok(GivenUp {
        id: row.try_get("id")?,
        event_id: row.try_get("event_id")?,
        kind: row.try_get("kind")?,
        conversation_id: row.try_get("conversation_id")?,
        payload: row.try_get("payload")?,
    })
}

impl GivenUp {
    async fn add_again(&self, connection: &mut Connection) -> Result<(), sqlx::Error> {
        let turn = take_turn(connection, self.conversation_id).await?;
        query(
            "INSERT INTO outbox (event_id, kind, conversation_id, sequence, payload, created_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(self.event_id.as_str())
        .bind(self.kind.as_str())
        .bind(self.conversation_id)
        .bind(turn.sequence)
        .bind(self.payload.as_str())
        .bind(Timestamp::now().millis())
        .execute(connection)
        .await?;
        Ok(())
    }
}

impl Store {
    /// Puts all rows that were given up by now on their way again; returns how many.
    pub async fn revive(&self) -> Result<u64, StoreError> {
        let row = query("SELECT MAX(id) AS last FROM outbox WHERE dead_at IS NOT NULL")
            .fetch_one(&mut *self.reader().await?)
            .await?;
        let last: Option<i64> = row.try_get("last")?;
        let mut revived = 0;
        while let Some(up_to) = last {
            match self.write(Revive { up_to }).await? {
                0 => break,
                more => revived += more,
            }
        }
        Ok(revived)
    }
}
