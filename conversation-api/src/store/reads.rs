//! Read marks: how far a user has read a conversation.

use sqlx::{Row as _, query};

use super::{Connection, Write};

/// Marks a conversation as read by a user. Marks never move back.
#[derive(Debug)]
pub struct MarkRead {
    /// Who has read.
    pub user_id: i64,
    /// What.
    pub conversation_id: i64,
    /// The last message read; none for all there are.
    pub up_to: Option<i64>,
}

/// What is read, and what is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ReadMark {
    /// The conversation's id.
    pub conversation_id: i64,
    /// The last message read; 0 when there is none.
    pub last_read_message_id: i64,
    /// The customer's messages after it.
    pub unread_count: i64,
}

impl Write for MarkRead {
    type Outcome = ReadMark;

    async fn apply(&self, connection: &mut Connection) -> Result<ReadMark, sqlx::Error> {
        let marked = query(
            "INSERT INTO read_marks (user_id, conversation_id, last_read_message_id)
             SELECT $1, $2, COALESCE(MAX(id), 0) FROM messages
             WHERE conversation_id = $2 AND id <= $3
             ON CONFLICT (user_id, conversation_id) DO UPDATE SET last_read_message_id =
                CASE WHEN excluded.last_read_message_id > read_marks.last_read_message_id
                THEN excluded.last_read_message_id ELSE read_marks.last_read_message_id END
             RETURNING last_read_message_id",
        )
        .bind(self.user_id)
        .bind(self.conversation_id)
        .bind(self.up_to.unwrap_or(i64::MAX))
        .fetch_one(&mut *connection)
        .await?;
        let last_read_message_id = marked.try_get("last_read_message_id")?;
        let counted = query(
            "SELECT COUNT(*) AS unread FROM messages
             WHERE conversation_id = $1 AND direction = 'inbound' AND id > $2",
        )
        .bind(self.conversation_id)
        .bind(last_read_message_id)
        .fetch_one(connection)
        .await?;
        Ok(ReadMark {
            conversation_id: self.conversation_id,
            last_read_message_id,
            unread_count: counted.try_get("unread")?,
        })
    }
}
