//! Those who work at the desk.

use sqlx::any::AnyRow;
use sqlx::{Row as _, query};

use super::{Connection, Store, StoreError};
use crate::channels::Scope;
use crate::people::{Role, User};

/// A user with the hash of the password.
pub struct Credentials {
    /// The user.
    pub user: User,
    /// The password's argon2 hash, in PHC format.
    pub password: String,
}

/// A colleague, as others see one.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Colleague {
    /// The user's id.
    pub id: i64,
    /// The user's name.
    pub name: String,
    /// What the user is.
    pub role: Role,
    /// Where the user works.
    pub department_id: Option<i64>,
    /// The address of a picture.
    pub avatar: Option<String>,
}

impl Store {
    /// The user with this e-mail address, which is in lower case.
    pub async fn credentials(&self, email: &str) -> Result<Option<Credentials>, StoreError> {
        let row = query(
            "SELECT id, name, email, role, department_id, avatar, password
             FROM users WHERE email = $1 AND disabled_at IS NULL",
        )
        .bind(email)
        .fetch_optional(&mut *self.reader().await?)
        .await?;
        let credentials = |row: AnyRow| {
            let password = row.try_get("password")?;
            Ok(Credentials {
                user: user(&row)?,
                password,
            })
        };
        row.map(credentials).transpose()
    }

    /// A user by id.
    pub async fn user(&self, id: i64) -> Result<Option<User>, StoreError> {
        let row =
            query("SELECT id, name, email, role, department_id, avatar FROM users WHERE id = $1")
                .bind(id)
                .fetch_optional(&mut *self.reader().await?)
                .await?;
        Ok(row.map(|row| user(&row)).transpose()?)
    }

    /// The users whom somebody with this scope works with: all, or those of a department.
    pub async fn colleagues(&self, scope: Scope) -> Result<Vec<Colleague>, StoreError> {
        let (all, department_id) = match scope {
            Scope::All => (1_i64, None),
            Scope::Department(id) => (0, Some(id)),
            Scope::Agent { .. } | Scope::Nothing => return Ok(Vec::new()),
        };
        let rows = query(
            "SELECT id, name, email, role, department_id, avatar
             FROM users WHERE ($1 = 1 OR department_id = $2) AND disabled_at IS NULL
             ORDER BY name, id",
        )
        .bind(all)
        .bind(department_id)
        .fetch_all(&mut *self.reader().await?)
        .await?;
        let colleague = |row: &AnyRow| {
            let user = user(row)?;
            Ok(Colleague {
                id: user.id,
                name: user.name,
                role: user.role,
                department_id: user.department_id,
                avatar: user.avatar,
            })
        };
        rows.iter().map(colleague).collect()
    }
}

/// Reads the columns id, name, email, role, department_id and avatar.
pub(super) fn user(row: &AnyRow) -> Result<User, sqlx::Error> {
    let role: String = row.try_get("role")?;
    Ok(User {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        email: row.try_get("email")?,
        role: role
            .parse()
            .map_err(|unknown| sqlx::Error::Decode(Box::new(unknown)))?,
        department_id: row.try_get("department_id")?,
        avatar: row.try_get("avatar")?,
    })
}

/// A user who can log in.
pub(super) async fn find(
    connection: &mut Connection,
    id: i64,
) -> Result<Option<User>, sqlx::Error> {
    let row = query(
        "SELECT id, name, email, role, department_id, avatar FROM users
         WHERE id = $1 AND disabled_at IS NULL",
    )
    .bind(id)
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(user).transpose()
}
