//! The departments of the desk.

use sqlx::any::AnyRow;
use sqlx::{Row as _, query};

use super::{Store, StoreError};
use crate::events::conversations::Department;

impl Store {
    /// Whether there is such a department.
    pub async fn department_exists(&self, id: i64) -> Result<bool, StoreError> {
        let row = query("SELECT 1 FROM departments WHERE id = $1")
            .bind(id)
            .fetch_optional(&mut *self.reader().await?)
            .await?;
        Ok(row.is_some())
    }

    /// All of them, by name.
    pub async fn departments(&self) -> Result<Vec<Department>, StoreError> {
        let rows = query("SELECT id, name FROM departments ORDER BY name, id")
            .fetch_all(&mut *self.reader().await?)
            .await?;
        let department = |row: &AnyRow| {
            Ok(Department {
                id: row.try_get("id")?,
                name: row.try_get("name")?,
            })
        };
        rows.iter().map(department).collect()
    }
}
