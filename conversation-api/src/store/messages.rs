//! Messages: reading them, and sending one.

use publisher::SocketId;
use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{Row as _, query};

use super::lifecycle::agent_writes;
use super::outbox::{self, Item, Kind};
use super::ownership::ownership;
use super::{Connection, Store, StoreError, Write, encoding};
use crate::channels::may_write;
use crate::clock::Timestamp;
use crate::events::{self, Direction, MessageSent, Sender};
use crate::people::User;
use crate::whatsapp::Reply;

/// A message, as the inbox shows it.
#[derive(Clone, Debug, Serialize)]
pub struct Message {
    /// The message's id.
    pub id: i64,
    /// The conversation's id.
    pub conversation_id: i64,
    /// Which way it went.
    pub direction: Direction,
    /// Always `text`.
    pub r#type: MessageType,
    /// The text.
    pub content: String,
    /// Who wrote it at the desk; none for the customer's.
    pub sender: Option<Sender>,
    /// What became of it at WhatsApp; none for the customer's.
    pub status: Option<String>,
    /// When it was stored.
    pub created_at: Timestamp,
}

/// The kinds of messages that are kept.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageType {
    /// Plain text.
    Text,
}

/// Stores an agent's message with its event and, where WhatsApp is set up, its way to the
/// customer.
#[derive(Debug)]
pub struct SendMessage {
    /// Who writes.
    pub author: User,
    /// Where.
    pub conversation_id: i64,
    /// What.
    pub content: String,
    /// The author's own connection, which does not get the event.
    pub socket_id: Option<SocketId>,
    /// Whether it goes to the customer.
    pub to_customer: bool,
    /// The event's id.
    pub event_id: String,
}

/// What came of [`SendMessage`].
#[derive(Debug)]
pub enum Sent {
    /// It is stored.
    Stored(Message),
    /// There is no such conversation.
    NoConversation,
    /// The author may not write there.
    Denied,
}

impl Write for SendMessage {
    type Outcome = Sent;

    async fn apply(&self, connection: &mut Connection) -> Result<Sent, sqlx::Error> {
        let row = query(
            "SELECT c.department_id, c.assigned_to, ct.phone
             FROM conversations c JOIN contacts ct ON ct.id = c.contact_id WHERE c.id = $1",
        )
        .bind(self.conversation_id)
        .fetch_optional(&mut *connection)
        .await?;
        let Some(row) = row else {
            return Ok(Sent::NoConversation);
        };
        let ownership = ownership(&row)?;
        if !may_write(&self.author, ownership) {
            return Ok(Sent::Denied);
        }
        let phone: String = row.try_get("phone")?;
        agent_writes(connection, self.conversation_id, &self.author).await?;
        let now = Timestamp::now();
        let sequence = next_sequence(connection, self.conversation_id, now).await?;
        let message = self.insert(connection, now).await?;
        self.announce(connection, &message, ownership.department_id, sequence)
            .await?;
        if self.to_customer {
            self.reply(connection, &message, phone, sequence).await?;
        }
        Ok(Sent::Stored(message))
    }
}

impl SendMessage {
    async fn insert(
        &self,
        connection: &mut Connection,
        now: Timestamp,
    ) -> Result<Message, sqlx::Error> {
        let status = if self.to_customer { "pending" } else { "sent" };
        let row = query(
            "INSERT INTO messages (conversation_id, direction, content, sender_id, status, created_at)
             VALUES ($1, 'outbound', $2, $3, $4, $5) RETURNING id",
        )
        .bind(self.conversation_id)
        .bind(self.content.as_str())
        .bind(self.author.id)
        .bind(status)
        .bind(now.millis())
        .fetch_one(connection)
        .await?;
        Ok(Message {
            id: row.try_get("id")?,
            conversation_id: self.conversation_id,
            direction: Direction::Outbound,
            r#type: MessageType::Text,
            content: self.content.clone(),
            sender: Some(self.sender()),
            status: Some(status.into()),
            created_at: now,
        })
    }

    async fn announce(
        &self,
        connection: &mut Connection,
        message: &Message,
        department_id: Option<i64>,
        sequence: i64,
    ) -> Result<(), sqlx::Error> {
        let sent = MessageSent {
            id: message.id,
            conversation_id: message.conversation_id,
            direction: message.direction,
            content: &message.content,
            sender: &self.sender(),
            created_at: message.created_at,
        };
        let socket_id = self.socket_id.clone();
        let event = events::sent(&sent, department_id, &self.event_id, socket_id);
        let event = event.map_err(encoding)?;
        let item = Item {
            kind: Kind::Broadcast,
            conversation_id: self.conversation_id,
            sequence,
            event_id: &self.event_id,
            created_at: message.created_at,
        };
        outbox::add(connection, &item, &event).await
    }

    async fn reply(
        &self,
        connection: &mut Connection,
        message: &Message,
        phone: String,
        sequence: i64,
    ) -> Result<(), sqlx::Error> {
        let reply = Reply {
            message_id: message.id,
            to: phone,
            text: self.content.clone(),
        };
        let item = Item {
            kind: Kind::Whatsapp,
            conversation_id: self.conversation_id,
            sequence,
            event_id: &self.event_id,
            created_at: message.created_at,
        };
        outbox::add(connection, &item, &reply).await
    }

    fn sender(&self) -> Sender {
        Sender {
            id: self.author.id,
            name: self.author.name.clone(),
            avatar: self.author.avatar.clone(),
        }
    }
}

/// The next number of a conversation's sequence. From here to the commit nobody else writes in
/// the conversation: message ids, sequence and commits have one order.
pub(super) async fn next_sequence(
    connection: &mut Connection,
    conversation_id: i64,
    now: Timestamp,
) -> Result<i64, sqlx::Error> {
    let row = query(
        "UPDATE conversations SET last_sequence = last_sequence + 1, last_message_at = $2
         WHERE id = $1 RETURNING last_sequence",
    )
    .bind(conversation_id)
    .bind(now.millis())
    .fetch_one(connection)
    .await?;
    row.try_get("last_sequence")
}

impl Store {
    /// The newest messages of a conversation with ids below `before`, the newest first.
    pub async fn messages(
        &self,
        conversation_id: i64,
        before: i64,
        limit: i64,
    ) -> Result<Vec<Message>, StoreError> {
        let rows = query(
            "SELECT m.id AS message_id, m.conversation_id, m.direction, m.content,
                m.status AS message_status, m.created_at AS message_created_at,
                s.id AS sender_id, s.name AS sender_name, s.avatar AS sender_avatar
             FROM messages m LEFT JOIN users s ON s.id = m.sender_id
             WHERE m.conversation_id = $1 AND m.id < $2 ORDER BY m.id DESC LIMIT $3",
        )
        .bind(conversation_id)
        .bind(before)
        .bind(limit)
        .fetch_all(&mut *self.reader().await?)
        .await?;
        let messages: Result<_, sqlx::Error> = rows.iter().map(message).collect();
        Ok(messages?)
    }
}

/// Reads a message from a row with its columns named so.
pub(super) fn message(row: &AnyRow) -> Result<Message, sqlx::Error> {
    let direction: String = row.try_get("direction")?;
    Ok(Message {
        id: row.try_get("message_id")?,
        conversation_id: row.try_get("conversation_id")?,
        direction: match direction.as_str() {
            "inbound" => Direction::Inbound,
            _ => Direction::Outbound,
        },
        r#type: MessageType::Text,
        content: row.try_get("content")?,
        sender: person(row, ["sender_id", "sender_name", "sender_avatar"])?,
        status: row.try_get("message_status")?,
        created_at: Timestamp::from_millis(row.try_get("message_created_at")?),
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
