//! Who answers a conversation.

use sqlx::query;

use super::{Connection, Write};

/// Assigns a conversation to a user, or to nobody in particular.
#[derive(Debug)]
pub struct Assign {
    /// The conversation.
    pub conversation_id: i64,
    /// The user, who exists.
    pub user_id: Option<i64>,
}

impl Write for Assign {
    type Outcome = ();

    async fn apply(&self, connection: &mut Connection) -> Result<(), sqlx::Error> {
        query("UPDATE conversations SET assigned_to = $2 WHERE id = $1")
            .bind(self.conversation_id)
            .bind(self.user_id)
            .execute(connection)
            .await?;
        Ok(())
    }
}
