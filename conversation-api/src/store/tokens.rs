//! The tokens of those who are logged in: only their hashes are kept.

use sqlx::{Row as _, query};

use super::users::user;
use super::{Connection, Store, StoreError, Write};
use crate::clock::Timestamp;
use crate::people::User;

/// Stores a token.
#[derive(Debug)]
pub struct CreateToken {
    /// SHA-256 of the token, in hex.
    pub hash: String,
    /// Whose it is.
    pub user_id: i64,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Forgets a token.
#[derive(Debug)]
pub struct RevokeToken {
    /// SHA-256 of the token, in hex.
    pub hash: String,
}

/// Forgets the tokens that have ended.
#[derive(Debug)]
pub struct PruneTokens;

impl Write for CreateToken {
    type Outcome = ();

    async fn apply(&self, connection: &mut Connection) -> Result<(), sqlx::Error> {
        query("INSERT INTO tokens (hash, user_id, created_at, expires_at) VALUES ($1, $2, $3, $4)")
            .bind(self.hash.as_str())
            .bind(self.user_id)
            .bind(Timestamp::now().millis())
            .bind(self.expires_at.millis())
            .execute(connection)
            .await?;
        Ok(())
    }
}

impl Write for RevokeToken {
    type Outcome = ();

    async fn apply(&self, connection: &mut Connection) -> Result<(), sqlx::Error> {
        query("DELETE FROM tokens WHERE hash = $1")
            .bind(self.hash.as_str())
            .execute(connection)
            .await?;
        Ok(())
    }
}

impl Write for PruneTokens {
    type Outcome = ();

    async fn apply(&self, connection: &mut Connection) -> Result<(), sqlx::Error> {
        query("DELETE FROM tokens WHERE expires_at <= $1")
            .bind(Timestamp::now().millis())
            .execute(connection)
            .await?;
        Ok(())
    }
}

impl Store {
    /// Whose token this is and when it ends; `None` for one that is unknown, revoked or expired.
    pub async fn token(&self, hash: &str) -> Result<Option<(User, Timestamp)>, StoreError> {
        let row = query(
            "SELECT u.id, u.name, u.email, u.role, u.department_id, u.avatar, t.expires_at
             FROM tokens t JOIN users u ON u.id = t.user_id
             WHERE t.hash = $1 AND t.expires_at > $2 AND u.disabled_at IS NULL",
        )
        .bind(hash)
        .bind(Timestamp::now().millis())
        .fetch_optional(&mut *self.reader().await?)
        .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let expires_at = Timestamp::from_millis(row.try_get("expires_at")?);
        Ok(Some((user(&row)?, expires_at)))
    }
}
