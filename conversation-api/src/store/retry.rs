//! Sending a message again that failed.

use sqlx::{Row as _, query};

use super::message_rows::{by_id, json};
use super::outbox::{self, Item, Kind};
use super::ownership::lock_if_audible;
use super::updates::{announce, take_turn};
use super::{Connection, Write};
use crate::channels::Audible;
use crate::clock::Timestamp;
use crate::message::Message;
use crate::people::User;
use crate::whatsapp::Reply;

/// Puts a failed message on its way to the customer again.
#[derive(Debug)]
pub struct RetryMessage {
    /// Who asks for it.
    pub author: User,
    /// The message.
    pub message_id: i64,
    /// The new attempt's id.
    pub event_id: String,
}

/// What came of [`RetryMessage`].
#[derive(Debug)]
pub enum Retried {
    /// It is on its way.
    Pending(Box<Message>),
    /// It has not failed, or is not the desk's.
    NotFailed,
    /// There is no such message.
    NoMessage,
    /// The user may not write there.
    Denied,
}

impl Write for RetryMessage {
    type Outcome = Retried;

    async fn apply(&self, connection: &mut Connection) -> Result<Retried, sqlx::Error> {
        let row = query(
            "SELECT m.conversation_id, m.content, m.template, ct.phone FROM messages m
             JOIN conversations c ON c.id = m.conversation_id
             JOIN contacts ct ON ct.id = c.contact_id WHERE m.id = $1",
        )
        .bind(self.message_id)
        .fetch_optional(&mut *connection)
        .await?;
        let Some(row) = row else {
            return Ok(Retried::NoMessage);
        };
        let conversation_id = row.try_get("conversation_id")?;
        // From here to the commit nobody takes the conversation away from its author.
        let audible = Audible::of(&self.author);
        if !lock_if_audible(connection, conversation_id, audible).await? {
            return Ok(Retried::Denied);
        }
        let turn = take_turn(connection, conversation_id).await?;
        // What is still reported of the failed attempt is not of this one.
        let pending = query(
            "UPDATE messages SET status = 'pending', error = NULL, whatsapp_id = NULL, version = $2
             WHERE id = $1 AND direction = 'outbound' AND status = 'failed'",
        )
        .bind(self.message_id)
        .bind(turn.sequence)
        .execute(&mut *connection)
        .await?;
        if pending.rows_affected() == 0 {
            return Ok(Retried::NotFailed);
        }
        announce(connection, turn, self.message_id).await?;
        let reply = Reply {
            message_id: self.message_id,
            to: row.try_get("phone")?,
            text: row.try_get("content")?,
            template: json(&row, "template")?,
        };
        let item = Item {
            kind: Kind::Whatsapp,
            conversation_id,
            sequence: turn.sequence,
            event_id: &self.event_id,
            created_at: Timestamp::now(),
        };
        outbox::add(connection, &item, &reply).await?;
        let message = by_id(&mut *connection, self.message_id).await?;
        message
            .map(|message| Retried::Pending(Box::new(message)))
            .ok_or(sqlx::Error::RowNotFound)
    }
}
