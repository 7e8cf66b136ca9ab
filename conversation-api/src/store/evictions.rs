//! Users whose connections to the relay must end. The schema's triggers write them down, in the
//! transaction that takes something away from a user.

use std::time::Duration;

use sqlx::any::AnyRow;
use sqlx::{Row as _, query};

use super::{Connection, Store, StoreError, Write};
use crate::clock::Timestamp;

/// Evictions that are read at a time.
const AT_ONCE: i64 = 100;

/// A user whose connections must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Eviction {
    /// The row's id.
    pub id: i64,
    /// The user, who may no longer exist.
    pub user_id: i64,
    /// Whether the user may not come back.
    pub for_good: bool,
    /// Whether it was done before.
    pub is_repeat: bool,
}

/// Notes that evictions were done: those done for the first time are due once more.
#[derive(Debug)]
pub struct SettleEvictions {
    /// What was done.
    pub done: Vec<Eviction>,
    /// When to do it again.
    pub again_in: Duration,
}

impl Write for SettleEvictions {
    type Outcome = ();

    async fn apply(&self, connection: &mut Connection) -> Result<(), sqlx::Error> {
        let again_at = Timestamp::now().after(self.again_in);
        for eviction in &self.done {
            let settled = if eviction.is_repeat {
                query("DELETE FROM evictions WHERE id = $1").bind(eviction.id)
            } else {
                query("UPDATE evictions SET is_repeat = 1, due_at = $2 WHERE id = $1")
                    .bind(eviction.id)
                    .bind(again_at.millis())
            };
            settled.execute(&mut *connection).await?;
        }
        Ok(())
    }
}

impl Store {
    /// Evictions that are due, the oldest first; not always all of them.
    pub async fn evictions(&self) -> Result<Vec<Eviction>, StoreError> {
        let rows = query(
            "SELECT id, user_id, for_good, is_repeat FROM evictions
             WHERE due_at <= $1 ORDER BY id LIMIT $2",
        )
        .bind(Timestamp::now().millis())
        .bind(AT_ONCE)
        .fetch_all(&mut *self.reader().await?)
        .await?;
        let eviction = |row: &AnyRow| {
            let flag = |column| row.try_get(column).map(|value: i64| value != 0);
            Ok(Eviction {
                id: row.try_get("id")?,
                user_id: row.try_get("user_id")?,
                for_good: flag("for_good")?,
                is_repeat: flag("is_repeat")?,
            })
        };
        rows.iter().map(eviction).collect()
    }

    /// How many evictions are due.
    pub async fn evictions_waiting(&self) -> Result<i64, StoreError> {
        let row = query("SELECT COUNT(*) AS waiting FROM evictions WHERE due_at <= $1")
            .bind(Timestamp::now().millis())
            .fetch_one(&mut *self.reader().await?)
            .await?;
        Ok(row.try_get("waiting")?)
    }

    /// Whether there are tokens that have ended.
    pub async fn has_ended_tokens(&self) -> Result<bool, StoreError> {
        let row = query("SELECT 1 FROM tokens WHERE expires_at <= $1 LIMIT 1")
            .bind(Timestamp::now().millis())
            .fetch_optional(&mut *self.reader().await?)
            .await?;
        Ok(row.is_some())
    }
}
