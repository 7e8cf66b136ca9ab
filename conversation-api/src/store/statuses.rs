//! What WhatsApp reports of the desk's own messages.
//!
//! A report may overtake the answer that names its message: it is kept until the name is noted.
//! Either side looks for the other in a transaction of its own, after it has committed what is its
//! own, so that one of them finds the other whoever comes first.

use sqlx::{Row as _, query};

use super::message_rows::json;
use super::updates::{announce, take_turn};
use super::{Connection, Write, encoding};
use crate::clock::Timestamp;
use crate::message::Failure;
use crate::whatsapp::Delivery;

/// Notes what became of a message, and announces it. Reports may come in any order and more than
/// once: what is known never goes backwards.
#[derive(Clone, Debug)]
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
    /// It was known.
    Unchanged,
    /// No message of the desk's has this id, or none yet.
    Unknown,
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
            "SELECT id, conversation_id, CASE WHEN $2 > ",
            rank!(),
            " THEN 1 ELSE 0 END AS is_news FROM messages
             WHERE whatsapp_id = $1 AND direction = 'outbound'"
        ))
        .bind(self.whatsapp_id.as_str())
        .bind(self.delivery as i64)
        .fetch_optional(&mut *connection)
        .await?;
        let Some(row) = row else {
            return Ok(Noted::Unknown);
        };
        let is_news: i64 = row.try_get("is_news")?;
        if is_news == 0 {
            return Ok(Noted::Unchanged);
        }
        let id: i64 = row.try_get("id")?;
        let turn = take_turn(connection, row.try_get("conversation_id")?).await?;
        let changed = query(concat!(
            "UPDATE messages SET status = $3, error = $4, version = $5
             WHERE id = $1 AND $2 > ",
            rank!()
        ))
        .bind(id)
        .bind(self.delivery as i64)
        .bind(self.delivery.name())
        .bind(self.error()?)
        .bind(turn.sequence)
        .execute(&mut *connection)
        .await?;
        if changed.rows_affected() == 0 {
            return Ok(Noted::Unchanged);
        }
        announce(connection, turn, id).await?;
        Ok(Noted::Changed)
    }
}

impl NoteDelivery {
    /// As it is stored.
    fn error(&self) -> Result<Option<String>, sqlx::Error> {
        let failure = self.failure.as_ref().map(serde_json::to_string);
        failure.transpose().map_err(encoding)
    }
}

/// Keeps a report of a message that is not known, or not yet.
#[derive(Debug)]
pub struct KeepEarly {
    /// The report.
    pub note: NoteDelivery,
}

impl Write for KeepEarly {
    type Outcome = ();

    async fn apply(&self, connection: &mut Connection) -> Result<(), sqlx::Error> {
        let NoteDelivery {
            whatsapp_id,
            delivery,
            ..
        } = &self.note;
        query(
            "INSERT INTO early_statuses (whatsapp_id, status, error, created_at)
             VALUES ($1, $3, $4, $5) ON CONFLICT (whatsapp_id) DO UPDATE
             SET status = excluded.status, error = excluded.error
             WHERE $2 > CASE early_statuses.status WHEN 'sent' THEN 0 WHEN 'failed' THEN 1
                WHEN 'delivered' THEN 2 ELSE 3 END",
        )
        .bind(whatsapp_id.as_str())
        .bind(*delivery as i64)
        .bind(delivery.name())
        .bind(self.note.error()?)
        .bind(Timestamp::now().millis())
        .execute(connection)
        .await?;
        Ok(())
    }
}

/// Notes what was kept of messages whose names were noted meanwhile.
#[derive(Debug)]
pub struct NoteEarly {
    /// WhatsApp's ids of them.
    pub whatsapp_ids: Vec<String>,
}

impl Write for NoteEarly {
    type Outcome = ();

    async fn apply(&self, connection: &mut Connection) -> Result<(), sqlx::Error> {
        for whatsapp_id in &self.whatsapp_ids {
            let kept =
                query("DELETE FROM early_statuses WHERE whatsapp_id = $1 RETURNING status, error")
                    .bind(whatsapp_id.as_str())
                    .fetch_optional(&mut *connection)
                    .await?;
            let Some(kept) = kept else { continue };
            let status: String = kept.try_get("status")?;
            let Some(delivery) = Delivery::parse(&status) else {
                continue;
            };
            let note = NoteDelivery {
                whatsapp_id: whatsapp_id.clone(),
                delivery,
                failure: json(&kept, "error")?,
            };
            note.apply(connection).await?;
        }
        Ok(())
    }
}

/// Forgets what was reported of messages that are nobody's here.
#[derive(Debug)]
pub struct ForgetEarly {
    /// What is older.
    pub kept_before: Timestamp,
}

impl Write for ForgetEarly {
    type Outcome = ();

    async fn apply(&self, connection: &mut Connection) -> Result<(), sqlx::Error> {
        query("DELETE FROM early_statuses WHERE created_at < $1")
            .bind(self.kept_before.millis())
            .execute(connection)
            .await?;
        Ok(())
    }
}
