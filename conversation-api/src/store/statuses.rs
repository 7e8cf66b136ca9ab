//! What WhatsApp reports of the desk's own messages.

use sqlx::{Row as _, query};

use super::updates::{announce, take_turn};
use super::{Connection, Write, encoding};
use crate::message::Failure;
use crate::whatsapp::Delivery;

/// Notes what became of a message, and announces it. Reports may come in any order and more than
/// once: what is known never goes backwards, and messages of others are none of the desk's
/// business.
#[derive(Debug)]
pub struct NoteDelivery {
    /// WhatsApp's id of the message.
    pub whatsapp_id: String,
    /// What became of it.
    pub delivery: Delivery,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
}

/// What came of [`NoteDelivery`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// It is noted.
    Changed,
    /// It was known, or is of a message that is not the desk's.
    Unchanged,
}

/// A status's rank: nothing is replaced by what has a lower one.
macro_rules! rank {
    () => {
        "CASE status WHEN 'pending' THEN -1 WHEN 'sent' THEN 0 WHEN 'failed' THEN 1
            WHEN 'delivered' THEN 2 ELSE 3 END"
    };
}

impl Write for NoteDelivery {
    type Outcome = Noted;

    async fn apply(&self, connection: &mut Connection) -> Result<Noted, sqlx::Error> {
        let row = query(concat!(
            "SELECT id, conversation_id FROM messages
             WHERE whatsapp_id = $1 AND direction = 'outbound' AND $2 > ",
            rank!()
        ))
        .bind(self.whatsapp_id.as_str())
        .bind(self.delivery as i64)
        .fetch_optional(&mut *connection)
        .await?;
        let Some(row) = row else {
            return Ok(Noted::Unchanged);
        };
        let id: i64 = row.try_get("id")?;
        let turn = take_turn(connection, row.try_get("conversation_id")?).await?;
        let failure = self.failure.as_ref().map(serde_json::to_string);
        let changed = query(concat!(
            "UPDATE messages SET status = $3, error = $4
             WHERE id = $1 AND $2 > ",
            rank!()
        ))
        .bind(id)
        .bind(self.delivery as i64)
        .bind(self.delivery.name())
        .bind(failure.transpose().map_err(encoding)?)
        .execute(&mut *connection)
        .await?;
        if changed.rows_affected() == 0 {
            return Ok(Noted::Unchanged);
        }
        announce(connection, turn, id).await?;
        Ok(Noted::Changed)
    }
}
