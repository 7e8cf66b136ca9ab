//! What WhatsApp reports of the desk's own messages.

use sqlx::query;

use super::{Connection, Write};

/// What became of a message at WhatsApp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Delivery {
    /// WhatsApp has it.
    Sent,
    /// It will not arrive.
    Failed,
    /// The customer's phone has it.
    Delivered,
    /// The customer has seen it.
    Read,
}

impl Delivery {
    /// Reads WhatsApp's word for it; `None` for words that are not known.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "sent" => Some(Self::Sent),
            "failed" => Some(Self::Failed),
            "delivered" => Some(Self::Delivered),
            "read" => Some(Self::Read),
            _ => None,
        }
    }

    /// As it is stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Delivered => "delivered",
            Self::Read => "read",
        }
    }
}

/// Notes what became of a message. Reports may come in any order and more than once: what is
/// known never goes backwards, and messages of others are none of the desk's business.
#[derive(Debug)]
pub struct NoteDelivery {
    /// WhatsApp's id of the message.
    pub whatsapp_id: String,
    /// What became of it.
    pub delivery: Delivery,
}

impl Write for NoteDelivery {
    type Outcome = ();

    async fn apply(&self, connection: &mut Connection) -> Result<(), sqlx::Error> {
        query(
            "UPDATE messages SET status = $2 WHERE whatsapp_id = $1 AND direction = 'outbound'
             AND $3 > CASE status WHEN 'pending' THEN -1 WHEN 'sent' THEN 0 WHEN 'failed' THEN 1
                WHEN 'delivered' THEN 2 ELSE 3 END",
        )
        .bind(self.whatsapp_id.as_str())
        .bind(self.delivery.name())
        .bind(self.delivery as i64)
        .execute(connection)
        .await?;
        Ok(())
    }
}
