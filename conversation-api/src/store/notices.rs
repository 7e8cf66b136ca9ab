//! Events for those whose connections end by what is announced.

use publisher::Broadcast;
use sqlx::any::AnyRow;
use sqlx::{Row as _, query};

use super::{Connection, Store, StoreError, Write, encoding};

/// Notices that are read at a time.
const AT_ONCE: i64 = 100;

/// An event that is to go out before connections end.
#[derive(Clone, Debug)]
pub struct Notice {
    /// The row's id.
    pub id: i64,
    /// The event, as it was written.
    pub payload: String,
}

/// Forgets notices that were sent.
#[derive(Debug)]
pub struct SettleNotices {
    /// Their ids.
    pub done: Vec<i64>,
}

impl Write for SettleNotices {
    type Outcome = ();

    async fn apply(&self, connection: &mut Connection) -> Result<(), sqlx::Error> {
        for id in &self.done {
            query("DELETE FROM eviction_notices WHERE id = $1")
                .bind(*id)
                .execute(&mut *connection)
                .await?;
        }
        Ok(())
    }
}

/// Adds a notice, in the transaction by which the connections end.
pub(super) async fn add(connection: &mut Connection, event: &Broadcast) -> Result<(), sqlx::Error> {
    let payload = serde_json::to_string(event).map_err(encoding)?;
    query("INSERT INTO eviction_notices (payload) VALUES ($1)")
        .bind(payload)
        .execute(connection)
        .await?;
    Ok(())
}

impl Store {
    /// Notices that are yet to be sent, the oldest first; not always all of them.
    pub async fn notices(&self) -> Result<Vec<Notice>, StoreError> {
        let rows = query("SELECT id, payload FROM eviction_notices ORDER BY id LIMIT $1")
            .bind(AT_ONCE)
            .fetch_all(&mut *self.reader().await?)
            .await?;
        let notice = |row: &AnyRow| {
            Ok(Notice {
                id: row.try_get("id")?,
                payload: row.try_get("payload")?,
            })
        };
        rows.iter().map(notice).collect()
    }
}
