//! What WhatsApp reports of the desk's own messages.

use sqlx::query;

use super::{Connection, Write};
use crate::whatsapp::Delivery;

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
