//! The departments of the desk.

use sqlx::query;

use super::{Store, StoreError};

impl Store {
    /// Whether there is such a department.
    pub async fn department_exists(&self, id: i64) -> Result<bool, StoreError> {
        let row = query("SELECT 1 FROM departments WHERE id = $1")
            .bind(id)
            .fetch_optional(&mut *self.reader().await?)
            .await?;
        Ok(row.is_some())
    }
}
