//! Messages, as they are read from rows.

use serde::de::DeserializeOwned;
use sqlx::any::AnyRow;
use sqlx::{Any, Executor, Row as _, query};

use super::{Store, StoreError};
use crate::clock::Timestamp;
use crate::message::{Direction, Media, MediaState, Message, MessageType, ReplyTo, Sender};

/// The columns that [`message`] reads: of the message `m` and of what [`joins`] adds to it.
macro_rules! columns {
    () => {
        "m.id AS message_id, m.conversation_id, m.direction, m.type AS message_type, m.content,
         m.location AS message_location, m.reply_to, m.error AS message_error, m.client_id,
         m.status AS message_status, m.created_at AS message_created_at, m.version,
         s.id AS sender_id, s.name AS sender_name, s.avatar AS sender_avatar,
         f.state AS media_state, f.mime_type AS media_type, f.filename AS media_filename,
         f.size AS media_size, q.id AS reply_to_id"
    };
}

/// Who wrote the message `m`, its file, and the message that it answers.
macro_rules! joins {
    () => {
        "LEFT JOIN users s ON s.id = m.sender_id
         LEFT JOIN media f ON f.message_id = m.id
         LEFT JOIN messages q
            ON q.whatsapp_id = m.reply_to AND q.conversation_id = m.conversation_id"
    };
}

pub(super) use {columns, joins};

impl Store {
    /// The newest messages of a conversation, or those before the message `before`, the newest
    /// first.
    pub async fn messages(
        &self,
        conversation_id: i64,
        before: Option<i64>,
        limit: i64,
    ) -> Result<Vec<Message>, StoreError> {
        let mut reader = self.reader().await?;
        let place = match before {
            Some(id) => place(&mut *reader, conversation_id, id).await?,
            None => None,
        };
        let (time, id) = place.unwrap_or((i64::MAX, i64::MAX));
        let rows = query(concat!(
            "SELECT ",
            columns!(),
            " FROM messages m ",
            joins!(),
            " WHERE m.conversation_id = $1 AND (m.created_at, m.id) < ($2, $3)
              ORDER BY m.created_at DESC, m.id DESC LIMIT $4"
        ))
        .bind(conversation_id)
        .bind(time)
        .bind(id)
        .bind(limit)
        .fetch_all(&mut *reader)
        .await?;
        let messages: Result<_, sqlx::Error> = rows.iter().map(message).collect();
        Ok(messages?)
    }

    /// One message.
    pub async fn message(&self, id: i64) -> Result<Option<Message>, StoreError> {
        let mut reader = self.reader().await?;
        Ok(by_id(&mut *reader, id).await?)
    }
}

/// Where a message is in its conversation's order.
async fn place<'e>(
    connection: impl Executor<'e, Database = Any>,
    conversation_id: i64,
    id: i64,
) -> Result<Option<(i64, i64)>, sqlx::Error> {
    let row = query("SELECT created_at FROM messages WHERE id = $1 AND conversation_id = $2")
        .bind(id)
        .bind(conversation_id)
        .fetch_optional(connection)
        .await?;
    row.map(|row| Ok((row.try_get("created_at")?, id)))
        .transpose()
}

/// Reads a message by its id.
pub(super) async fn by_id<'e>(
    connection: impl Executor<'e, Database = Any>,
    id: i64,
) -> Result<Option<Message>, sqlx::Error> {
    let row = query(concat!(
        "SELECT ",
        columns!(),
        " FROM messages m ",
        joins!(),
        " WHERE m.id = $1"
    ))
    .bind(id)
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(message).transpose()
}

/// Reads a message from a row with the columns of [`columns`].
pub(super) fn message(row: &AnyRow) -> Result<Message, sqlx::Error> {
    let id = row.try_get("message_id")?;
    let direction: String = row.try_get("direction")?;
    let kind: String = row.try_get("message_type")?;
    Ok(Message {
        id,
        conversation_id: row.try_get("conversation_id")?,
        direction: match direction.as_str() {
            "inbound" => Direction::Inbound,
            _ => Direction::Outbound,
        },
        r#type: MessageType::parse(&kind),
        content: row.try_get("content")?,
        media: media(row, id)?,
        location: json(row, "message_location")?,
        reply_to: reply_to(row)?,
        sender: person(row, ["sender_id", "sender_name", "sender_avatar"])?,
        status: row.try_get("message_status")?,
        error: json(row, "message_error")?,
        client_id: row.try_get("client_id")?,
        created_at: Timestamp::from_millis(row.try_get("message_created_at")?),
        version: row.try_get("version")?,
    })
}

fn media(row: &AnyRow, id: i64) -> Result<Option<Media>, sqlx::Error> {
    let state: Option<String> = row.try_get("media_state")?;
    let media = |state: String| {
        let state = MediaState::parse(&state);
        Ok(Media {
            mime_type: row.try_get("media_type")?,
            filename: row.try_get("media_filename")?,
            size: row.try_get("media_size")?,
            url: (state == MediaState::Ready).then(|| format!("/api/messages/{id}/media")),
            state,
        })
    };
    state.map(media).transpose()
}

fn reply_to(row: &AnyRow) -> Result<Option<ReplyTo>, sqlx::Error> {
    let whatsapp_id: Option<String> = row.try_get("reply_to")?;
    let reply_to = |whatsapp_id| {
        Ok(ReplyTo {
            whatsapp_id,
            message_id: row.try_get("reply_to_id")?,
        })
    };
    whatsapp_id.map(reply_to).transpose()
}

/// Reads a column that holds JSON, or null.
pub(super) fn json<T: DeserializeOwned>(
    row: &AnyRow,
    column: &str,
) -> Result<Option<T>, sqlx::Error> {
    let text: Option<String> = row.try_get(column)?;
    let value = text.map(|text| serde_json::from_str(&text)).transpose();
    value.map_err(|error| sqlx::Error::ColumnDecode {
        index: column.into(),
        source: error.into(),
    })
}

/// Reads a user's id, name and avatar from these columns; `None` where they are null.
pub(super) fn person(row: &AnyRow, columns: [&str; 3]) -> Result<Option<Sender>, sqlx::Error> {
    let [id, name, avatar] = columns;
    let id: Option<i64> = row.try_get(id)?;
    let person = |id| {
        Ok(Sender {
            id,
            name: row.try_get(name)?,
            avatar: row.try_get(avatar)?,
        })
    };
    id.map(person).transpose()
}
