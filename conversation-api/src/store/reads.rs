//! Read marks: how far a user has read a conversation.

use sqlx::{Row as _, query};

use super::announcements::{Actor, Occasion};
use super::{Connection, Write};
use crate::events::conversations::Read;

/// Marks a conversation as read by a user. Marks never move back.
#[derive(Debug)]
pub struct MarkRead {
    /// Who has read.
    pub actor: Actor,
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
        let (last_read_message_id, is_new) = self.mark(connection).await?;
        if is_new {
            let read = Read {
                user_id: self.actor.user.id,
                last_read_message_id,
            };
            let occasion = Occasion::now(self.conversation_id, Some(&self.actor));
            occasion.read(connection, read).await?;
        }
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

impl MarkRead {
    /// Returns the mark, and whether it is another than before.
    async fn mark(&self, connection: &mut Connection) -> Result<(i64, bool), sqlx::Error> {
        let moved = query(
            "INSERT INTO read_marks (user_id, conversation_id, last_read_message_id)
             SELECT $1, $2, MAX(id) FROM messages
             WHERE conversation_id = $2 AND id <= $3 HAVING MAX(id) IS NOT NULL
             ON CONFLICT (user_id, conversation_id) DO UPDATE
             SET last_read_message_id = excluded.last_read_message_id
             WHERE excluded.last_read_message_id > read_marks.last_read_message_id
             RETURNING last_read_message_id",
        )
        .bind(self.actor.user.id)
        .bind(self.conversation_id)
        .bind(self.up_to.unwrap_or(i64::MAX))
        .fetch_optional(&mut *connection)
        .await?;
        if let Some(moved) = moved {
            return Ok((moved.try_get("last_read_message_id")?, true));
        }
        let known = query(
            "SELECT last_read_message_id FROM read_marks
             WHERE user_id = $1 AND conversation_id = $2",
        )
        .bind(self.actor.user.id)
        .bind(self.conversation_id)
        .fetch_optional(connection)
        .await?;
        let mark = known.map(|row| row.try_get("last_read_message_id"));
        Ok((mark.transpose()?.unwrap_or(0), false))
    }
}
