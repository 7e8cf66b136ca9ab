//! A customer's message arrives.

use std::time::Duration;

use sqlx::any::AnyRow;
use sqlx::{Row as _, query};

use super::lifecycle::customer_writes;
use super::message_rows::{by_id, person};
use super::messages::next_turn;
use super::outbox::{self, Item, Kind};
use super::ownership::lock;
use super::{Connection, Write, encoding};
use crate::clock::Timestamp;
use crate::events::{self, Contact, ConversationSummary};
use crate::message::{MediaState, MessageType, Sender};
use crate::whatsapp::incoming::{Incoming, MediaReference};

/// How long after a customer has written they can be answered without a template.
const WINDOW: Duration = Duration::from_secs(24 * 3600);

/// Stores a customer's message with its event, once, however often WhatsApp delivers it.
#[derive(Debug)]
pub struct ReceiveMessage {
    /// What WhatsApp reports.
    pub incoming: Box<Incoming>,
    /// Whether files are fetched.
    pub fetches_media: bool,
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
    assignee: Option<Sender>,
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
        let kind = self.incoming.r#type;
        let target = match latest_conversation(connection, contact.id, kind).await? {
            Some(target) => target,
            None => {
                let at = written_at(self.incoming.written_at, None, now);
                begin_conversation(connection, contact.id, at).await?
            }
        };
        let reported = self.incoming.written_at;
        let before = before(connection, target.id, reported.unwrap_or(now)).await?;
        let written_at = written_at(reported, before.in_second, now);
        let sequence = next_turn(connection, target.id, written_at).await?.sequence;
        let id = self.insert(connection, target.id, written_at, sequence);
        let id = id.await?;
        if let Some(media) = &self.incoming.media {
            self.insert_media(connection, id, media, now).await?;
        }
        let conversation = ConversationSummary {
            id: target.id,
            status: target.status,
            contact,
            department_id: target.department_id,
            assignee: target.assignee,
            window_ends_at: before
                .by_customer
                .max(Some(written_at))
                .unwrap_or(now)
                .after(WINDOW),
            version: sequence,
        };
        self.announce(connection, id, &conversation, now).await?;
        Ok(Received::Stored)
    }
}

impl ReceiveMessage {
    async fn is_known(&self, connection: &mut Connection) -> Result<bool, sqlx::Error> {
        let row = query("SELECT id FROM messages WHERE whatsapp_id = $1")
            .bind(self.incoming.id.as_str())
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
        .bind(self.incoming.phone.as_str())
        .bind(
            self.incoming
                .name
                .as_deref()
                .unwrap_or(&self.incoming.phone),
        )
        .bind(Timestamp::now().millis())
        .bind(i64::from(self.incoming.name.is_some()))
        .fetch_one(connection)
        .await?;
        Ok(Contact {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            phone: self.incoming.phone.clone(),
        })
    }

    async fn insert(
        &self,
        connection: &mut Connection,
        conversation_id: i64,
        written_at: Timestamp,
        version: i64,
    ) -> Result<i64, sqlx::Error> {
        let location = self.incoming.location.as_ref().map(serde_json::to_string);
        let row = query(
            "INSERT INTO messages (conversation_id, direction, type, content, location, reply_to,
                whatsapp_id, created_at, version)
             VALUES ($1, 'inbound', $2, $3, $4, $5, $6, $7, $8) RETURNING id",
        )
        .bind(conversation_id)
        .bind(self.incoming.r#type.name())
        .bind(self.incoming.content.as_str())
        .bind(location.transpose().map_err(encoding)?)
        .bind(self.incoming.reply_to.as_deref())
        .bind(self.incoming.id.as_str())
        .bind(written_at.millis())
        .bind(version)
        .fetch_one(connection)
        .await?;
        row.try_get("id")
    }

    async fn insert_media(
        &self,
        connection: &mut Connection,
        message_id: i64,
        media: &MediaReference,
        now: Timestamp,
    ) -> Result<(), sqlx::Error> {
        let state = if self.fetches_media {
            MediaState::Pending
        } else {
            MediaState::Unavailable
        };
        query(
            "INSERT INTO media (message_id, media_id, mime_type, filename, state, due_at, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $6)",
        )
        .bind(message_id)
        .bind(media.id.as_str())
        .bind(media.mime_type.as_str())
        .bind(media.filename.as_deref())
        .bind(state.name())
        .bind(now.millis())
        .execute(connection)
        .await?;
        Ok(())
    }

    async fn announce(
        &self,
        connection: &mut Connection,
        id: i64,
        conversation: &ConversationSummary,
        now: Timestamp,
    ) -> Result<(), sqlx::Error> {
        let message = by_id(&mut *connection, id).await?;
        let message = message.ok_or(sqlx::Error::RowNotFound)?;
        let item = Item {
            kind: Kind::Broadcast,
            conversation_id: conversation.id,
            sequence: conversation.version,
            event_id: &self.event_id,
            created_at: now,
        };
        let event = events::received(&message, conversation, &self.event_id);
        outbox::add(connection, &item, &event.map_err(encoding)?).await
    }
}

/// What was written in a conversation before.
struct Before {
    /// When the customer last wrote.
    by_customer: Option<Timestamp>,
    /// When anybody last wrote in the second that a message is of.
    in_second: Option<Timestamp>,
}

async fn before(
    connection: &mut Connection,
    conversation_id: i64,
    reported: Timestamp,
) -> Result<Before, sqlx::Error> {
    let second = reported.millis().div_euclid(1000) * 1000;
    let row = query(
        "SELECT c.last_inbound_at, (SELECT MAX(m.created_at) FROM messages m
            WHERE m.conversation_id = c.id AND m.created_at >= $2 AND m.created_at < $3) AS in_second
         FROM conversations c WHERE c.id = $1",
    )
    .bind(conversation_id)
    .bind(second)
    .bind(second + 1000)
    .fetch_one(connection)
    .await?;
    let time = |column| {
        let millis: Option<i64> = row.try_get(column)?;
        Ok::<_, sqlx::Error>(millis.map(Timestamp::from_millis))
    };
    Ok(Before {
        by_customer: time("last_inbound_at")?,
        in_second: time("in_second")?,
    })
}

/// When a message was written: what WhatsApp reports, but never later than now.
///
/// That is to the second. Within it, what arrives later was written later: after whatever is there
/// already of this second, whoever wrote it.
fn written_at(
    reported: Option<Timestamp>,
    in_second: Option<Timestamp>,
    now: Timestamp,
) -> Timestamp {
    let Some(reported) = reported.filter(|reported| *reported <= now) else {
        return now;
    };
    if now.millis().div_euclid(1000) == reported.millis().div_euclid(1000) {
        return now;
    }
    in_second.unwrap_or(reported).max(reported)
}

/// The customer's latest conversation, which is open from here on, unless the customer has only
/// reacted to something: that asks for no answer.
async fn latest_conversation(
    connection: &mut Connection,
    contact_id: i64,
    kind: MessageType,
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
    let id: i64 = row.try_get("id")?;
    if kind == MessageType::Reaction {
        lock(connection, id).await?;
    } else {
        customer_writes(connection, id).await?;
    }
    let row = query(
        "SELECT c.id, c.status, c.department_id, a.id AS assignee_id, a.name AS assignee_name,
            a.avatar AS assignee_avatar
         FROM conversations c LEFT JOIN users a ON a.id = c.assigned_to WHERE c.id = $1",
    )
    .bind(id)
    .fetch_one(connection)
    .await?;
    Ok(Some(Target {
        assignee: person(&row, ["assignee_id", "assignee_name", "assignee_avatar"])?,
        ..target(&row)?
    }))
}

/// A new conversation goes to the first department, where somebody assigns it.
async fn begin_conversation(
    connection: &mut Connection,
    contact_id: i64,
    at: Timestamp,
) -> Result<Target, sqlx::Error> {
    let row = query(
        "INSERT INTO conversations (contact_id, department_id, status, last_message_at, created_at)
         VALUES ($1, (SELECT MIN(id) FROM departments), 'open', $2, $2)
         RETURNING id, status, department_id",
    )
    .bind(contact_id)
    .bind(at.millis())
    .fetch_one(connection)
    .await?;
    target(&row)
}

fn target(row: &AnyRow) -> Result<Target, sqlx::Error> {
    Ok(Target {
        id: row.try_get("id")?,
        status: row.try_get("status")?,
        department_id: row.try_get("department_id")?,
        assignee: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_as_old_as_whatsapp_reports() {
        let at = |reported: Option<i64>, in_second: Option<i64>| {
            let time = |millis: Option<i64>| millis.map(Timestamp::from_millis);
            written_at(
                time(reported),
                time(in_second),
                Timestamp::from_millis(50_400),
            )
            .millis()
        };
        assert_eq!(at(Some(20_000), None), 20_000);
        assert_eq!(at(None, Some(30_500)), 50_400, "nothing was reported");
        assert_eq!(at(Some(51_000), None), 50_400, "the future");
        assert_eq!(at(Some(50_000), Some(50_300)), 50_400, "this second");
        assert_eq!(at(Some(30_000), Some(30_500)), 30_500, "the same second");
    }
}
