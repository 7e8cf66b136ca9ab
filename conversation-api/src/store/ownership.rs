//! Whose a conversation is.

use sqlx::any::AnyRow;
use sqlx::{Row as _, query};

use super::{Store, StoreError};
use crate::channels::Ownership;

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
