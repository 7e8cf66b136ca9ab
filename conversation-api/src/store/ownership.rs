//! Whose a conversation is.

use sqlx::any::AnyRow;
use sqlx::{Row as _, query};

use super::{Connection, Store, StoreError};
use crate::channels::{Audible, Ownership};

impl Store {
    /// Whose a conversation is; `None` when it does not exist.
    pub async fn ownership(&self, id: i64) -> Result<Option<Ownership>, StoreError> {
        let row = query("SELECT department_id, assigned_to FROM conversations WHERE id = $1")
            .bind(id)
            .fetch_optional(&mut *self.reader().await?)
            .await?;
        Ok(row.as_ref().map(ownership).transpose()?)
    }
}

/// Reads the columns department_id and assigned_to.
pub(super) fn ownership(row: &AnyRow) -> Result<Ownership, sqlx::Error> {
    Ok(Ownership {
        department_id: row.try_get("department_id")?,
        assigned_to: row.try_get("assigned_to")?,
    })
}

/// A conversation that nobody else changes before the transaction is over.
pub(super) struct Locked {
    pub(super) ownership: Ownership,
    /// `open` or `closed`.
    pub(super) status: String,
}

/// Waits until nobody else is changing a conversation; `None` when it does not exist.
pub(super) async fn lock(
    connection: &mut Connection,
    id: i64,
) -> Result<Option<Locked>, sqlx::Error> {
    // An update locks on either database, and returns what the one before has committed.
    let row = query(
        "UPDATE conversations SET last_sequence = last_sequence WHERE id = $1
         RETURNING department_id, assigned_to, status",
    )
    .bind(id)
    .fetch_optional(connection)
    .await?;
    let locked = |row: AnyRow| {
        Ok(Locked {
            ownership: ownership(&row)?,
            status: row.try_get("status")?,
        })
    };
    row.map(locked).transpose()
}

/// The same, for a conversation that is among these; returns whether it is. Of any other it locks
/// nothing, and waits for nobody.
pub(super) async fn lock_if_audible(
    connection: &mut Connection,
    id: i64,
    audible: Audible,
) -> Result<bool, sqlx::Error> {
    let locked = query(
        "UPDATE conversations SET last_sequence = last_sequence
         WHERE id = $1 AND ($2 = 1 OR department_id = $3 OR assigned_to = $4)",
    )
    .bind(id)
    .bind(i64::from(audible.all))
    .bind(audible.department_id)
    .bind(audible.assigned_to)
    .execute(connection)
    .await?;
    Ok(locked.rows_affected() > 0)
}
