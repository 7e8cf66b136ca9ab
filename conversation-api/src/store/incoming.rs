//! A customer's message arrives.

use sqlx::any::AnyRow;
use sqlx::{Row as _, query};

use super::lifecycle::customer_writes;
use super::messages::next_sequence;
use super::outbox::{self, Item, Kind};
use super::{Connection, Write, encoding};
use crate::clock::Timestamp;
use crate::events::{self, Contact, ConversationSummary, Direction, MessageReceived};

/// Stores a customer's message with its event, once, however often WhatsApp delivers it.
#[derive(Debug)]
pub struct ReceiveMessage {
    /// WhatsApp's id of the message.
    pub whatsapp_id: String,
    /// The customer's number, digits only.
    pub phone: String,
    /// The customer's name, if it was given.
    pub name: Option<String>,
    /// The text.
    pub content: String,
    /// The event's id.
    pub event_id: String,
}

/// What came of [`ReceiveMessage`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It is stored.
    Stored,
    /// It had been stored before; nothing was changed.
    Repeated,
}

/// The conversation that a message goes to.
struct Target {
    id: i64,
    status: String,
    department_id: Option<i64>,
}

impl Write for ReceiveMessage {
    type Outcome = Received;

    async fn apply(&self, connection: &mut Connection) -> Result<Received, sqlx::Error> {
        if self.is_known(connection).await? {
            return Ok(Received::Repeated);
        }
        // This locks the contact, so that deliveries of one customer's messages come one after
        // the other from here on. Another one may have stored this message while it was waited
        // for.
        let contact = self.contact(connection).await?;
        if self.is_known(connection).await? {
            return Ok(Received::Repeated);
        }
        let now = Timestamp::now();
        let target = match latest_conversation(connection, contact.id).await? {
            Some(target) => target,
            None => begin_conversation(connection, contact.id, now).await?,
        };
        let sequence = next_sequence(connection, target.id, now).await?;
        let id = self.insert(connection, target.id, now).await?;
        self.announce(connection, (id, now, sequence), &target, &contact)
            .await?;
        Ok(Received::Stored)
    }
}

impl ReceiveMessage {
    async fn is_known(&self, connection: &mut Connection) -> Result<bool, sqlx::Error> {
        let row = query("SELECT id FROM messages WHERE whatsapp_id = $1")
            .bind(self.whatsapp_id.as_str())
            .fetch_optional(connection)
            .await?;
        Ok(row.is_some())
    }

    /// Finds or creates the contact; a name that was given is kept.
    async fn contact(&self, connection: &mut Connection) -> Result<Contact, sqlx::Error> {
        let row = query(
            "INSERT INTO contacts (phone, name, created_at) VALUES ($1, $2, $3)
             ON CONFLICT (phone) DO UPDATE SET name =
                CASE WHEN $4 = 1 THEN excluded.name ELSE contacts.name END
             RETURNING id, name",
        )
        .bind(self.phone.as_str())
        .bind(self.name.as_deref().unwrap_or(&self.phone))
        .bind(Timestamp::now().millis())
        .bind(i64::from(self.name.is_some()))
        .fetch_one(connection)
        .await?;
        Ok(Contact {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            phone: self.phone.clone(),
        })
    }

    async fn insert(
        &self,
        connection: &mut Connection,
        conversation_id: i64,
        now: Timestamp,
    ) -> Result<i64, sqlx::Error> {
        let row = query(
            "INSERT INTO messages (conversation_id, direction, content, whatsapp_id, created_at)
             VALUES ($1, 'inbound', $2, $3, $4) RETURNING id",
        )
        .bind(conversation_id)
        .bind(self.content.as_str())
        .bind(self.whatsapp_id.as_str())
        .bind(now.millis())
        .fetch_one(connection)
        .await?;
        row.try_get("id")
    }

    async fn announce(
        &self,
        connection: &mut Connection,
        (id, created_at, sequence): (i64, Timestamp, i64),
        target: &Target,
        contact: &Contact,
    ) -> Result<(), sqlx::Error> {
        let received = MessageReceived {
            id,
            conversation_id: target.id,
            direction: Direction::Inbound,
            content: &self.content,
            conversation: ConversationSummary {
                id: target.id,
                status: &target.status,
                contact,
            },
            created_at,
        };
        let item = Item {
            kind: Kind::Broadcast,
            conversation_id: target.id,
            sequence,
            event_id: &self.event_id,
            created_at,
        };
        let event = events::received(&received, target.department_id, &self.event_id);
        outbox::add(connection, &item, &event.map_err(encoding)?).await
    }
}

/// The customer's latest conversation, which is open from here on.
async fn latest_conversation(
    connection: &mut Connection,
    contact_id: i64,
) -> Result<Option<Target>, sqlx::Error> {
    let row = query(
        "SELECT id FROM conversations WHERE contact_id = $1
         ORDER BY CASE status WHEN 'open' THEN 0 ELSE 1 END, last_message_at DESC, id DESC LIMIT 1",
    )
    .bind(contact_id)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let id = row.try_get("id")?;
    customer_writes(connection, id).await?;
    let row = query("SELECT id, status, department_id FROM conversations WHERE id = $1")
        .bind(id)
        .fetch_one(connection)
        .await?;
    target(&row).map(Some)
}

/// A new conversation goes to the first department, where somebody assigns it.
async fn begin_conversation(
    connection: &mut Connection,
    contact_id: i64,
    now: Timestamp,
) -> Result<Target, sqlx::Error> {
    let row = query(
        "INSERT INTO conversations (contact_id, department_id, status, last_message_at, created_at)
         VALUES ($1, (SELECT MIN(id) FROM departments), 'open', $2, $2)
         RETURNING id, status, department_id",
    )
    .bind(contact_id)
    .bind(now.millis())
    .fetch_one(connection)
    .await?;
    target(&row)
}

fn target(row: &AnyRow) -> Result<Target, sqlx::Error> {
    Ok(Target {
        id: row.try_get("id")?,
        status: row.try_get("status")?,
        department_id: row.try_get("department_id")?,
    })
}
