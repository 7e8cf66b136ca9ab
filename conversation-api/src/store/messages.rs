//! Sending a message: storing it with its event and its way to the customer.

use publisher::SocketId;
use sqlx::any::AnyRow;
use sqlx::{Row as _, query};

use super::lifecycle::agent_writes;
use super::message_rows::{by_id, json};
use super::outbox::{self, Item, Kind};
use super::ownership::lock_if_audible;
use super::{Connection, Database, Write, encoding};
use crate::channels::Audible;
use crate::clock::Timestamp;
use crate::events;
use crate::message::{Direction, Message, MessageType, Sender};
use crate::people::User;
use crate::whatsapp::{Reply, Template};

/// Stores an agent's message with its event and, where WhatsApp is set up, its way to the
/// customer. Whoever repeats it with the same client id finds it stored.
#[derive(Debug)]
pub struct SendMessage {
    /// Which database this is for.
    pub database: Database,
    /// Who writes.
    pub author: User,
    /// Where.
    pub conversation_id: i64,
    /// A text, a template or a note.
    pub r#type: MessageType,
    /// What, in text.
    pub content: String,
    /// The template that `content` was made from.
    pub template: Option<Template>,
    /// The id that the author's client gave it.
    pub client_id: Option<String>,
    /// The author's own connection, which does not get the event.
    pub socket_id: Option<SocketId>,
    /// Whether messages go to the customer.
    pub to_customer: bool,
    /// The event's id.
    pub event_id: String,
}

/// What came of [`SendMessage`].
#[derive(Debug)]
pub enum Sent {
    /// It is stored.
    Stored(Message),
    /// It had been stored before; nothing was changed.
    Repeated(Message),
    /// The client id was given to another message.
    ClientIdTaken,
    /// There is no such conversation.
    NoConversation,
    /// The author may not write there.
    Denied,
}

impl Write for SendMessage {
    type Outcome = Sent;

    fn conversation(&self) -> Option<i64> {
        Some(self.conversation_id)
    }

    async fn apply(&self, connection: &mut Connection) -> Result<Sent, sqlx::Error> {
        self.await_repeats(connection).await?;
        let now = Timestamp::now();
        let Some(opening) = self.open(connection, now).await? else {
            return self.refuse(connection).await;
        };
        let mut turn = opening.turn;
        if turn.is_closed && self.r#type != MessageType::Note {
            // What opens the conversation is announced before the message.
            agent_writes(connection, self.conversation_id, &self.author).await?;
            turn = next_turn(connection, self.conversation_id, now).await?;
        }
        let sequence = turn.sequence;
        let message = self.insert(connection, now, sequence).await?;
        self.announce(connection, &message, opening.department_id, sequence)
            .await?;
        if self.goes_to_customer() {
            self.reply(connection, &message, opening.phone, sequence)
                .await?;
        }
        Ok(Sent::Stored(message))
    }
}

/// A conversation that its author may write in, from the beginning of its turn on.
struct Opening {
    turn: Turn,
    department_id: Option<i64>,
    phone: String,
}

impl SendMessage {
    fn goes_to_customer(&self) -> bool {
        self.to_customer && self.r#type != MessageType::Note
    }

    /// Waits for others that write in the conversation: one may be storing this message, and on
    /// PostgreSQL a statement sees nothing that is committed once it has begun. Who may not write
    /// there holds nobody up.
    async fn await_repeats(&self, connection: &mut Connection) -> Result<(), sqlx::Error> {
        if self.database == Database::Postgres && self.client_id.is_some() {
            let audible = Audible::of(&self.author);
            lock_if_audible(connection, self.conversation_id, audible).await?;
        }
        Ok(())
    }

    /// Takes the next turn; `None`, and nothing is changed, if the message is not to be stored. All
    /// in one statement, as most of what a message costs is how often the database is asked.
    async fn open(
        &self,
        connection: &mut Connection,
        now: Timestamp,
    ) -> Result<Option<Opening>, sqlx::Error> {
        let audible = Audible::of(&self.author);
        let row = query(
            "UPDATE conversations SET last_sequence = last_sequence + 1, last_message_at =
                CASE WHEN last_message_at > $2 THEN last_message_at ELSE $2 END
             WHERE id = $1 AND ($3 = 1 OR department_id = $4 OR assigned_to = $5)
               AND NOT EXISTS (SELECT 1 FROM messages m
                 WHERE m.conversation_id = $1 AND m.sender_id = $6 AND m.client_id = $7)
             RETURNING last_sequence, CASE status WHEN 'closed' THEN 1 ELSE 0 END AS closed,
                department_id, (SELECT ct.phone FROM contacts ct WHERE ct.id = contact_id) AS phone",
        )
        .bind(self.conversation_id)
        .bind(now.millis())
        .bind(i64::from(audible.all))
        .bind(audible.department_id)
        .bind(audible.assigned_to)
        .bind(self.author.id)
        .bind(self.client_id.as_deref())
        .fetch_optional(connection)
        .await?;
        let opening = |row: AnyRow| {
            Ok(Opening {
                turn: turn(&row)?,
                department_id: row.try_get("department_id")?,
                phone: row.try_get("phone")?,
            })
        };
        row.map(opening).transpose()
    }

    /// Why the message was not stored. Whoever has lost the conversation since they wrote it is
    /// answered that it is there: the customer has it.
    async fn refuse(&self, connection: &mut Connection) -> Result<Sent, sqlx::Error> {
        if let Some(client_id) = &self.client_id
            && let Some(earlier) = self.earlier(connection, client_id).await?
        {
            return Ok(earlier);
        }
        let is_there = query("SELECT 1 FROM conversations WHERE id = $1")
            .bind(self.conversation_id)
            .fetch_optional(connection)
            .await?;
        // Who may write by now could not when it was asked for.
        Ok(is_there.map_or(Sent::NoConversation, |_| Sent::Denied))
    }

    /// What became of the message that was sent with this client id before.
    async fn earlier(
        &self,
        connection: &mut Connection,
        client_id: &str,
    ) -> Result<Option<Sent>, sqlx::Error> {
        let row = query(
            "SELECT id, type, content, template FROM messages
             WHERE conversation_id = $1 AND sender_id = $2 AND client_id = $3",
        )
        .bind(self.conversation_id)
        .bind(self.author.id)
        .bind(client_id)
        .fetch_optional(&mut *connection)
        .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let (kind, content): (String, String) = (row.try_get("type")?, row.try_get("content")?);
        let template: Option<Template> = json(&row, "template")?;
        if (kind.as_str(), &content, &template)
            != (self.r#type.name(), &self.content, &self.template)
        {
            return Ok(Some(Sent::ClientIdTaken));
        }
        let message = by_id(&mut *connection, row.try_get("id")?).await?;
        Ok(message.map(Sent::Repeated))
    }

    async fn insert(
        &self,
        connection: &mut Connection,
        now: Timestamp,
        version: i64,
    ) -> Result<Message, sqlx::Error> {
        let status = match (self.r#type, self.to_customer) {
            (MessageType::Note, _) => None,
            (_, true) => Some("pending"),
            (_, false) => Some("sent"),
        };
        let template = self.template.as_ref().map(serde_json::to_string);
        let row = query(
            "INSERT INTO messages (conversation_id, direction, type, content, template, client_id,
                sender_id, status, created_at, version)
             VALUES ($1, 'outbound', $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id",
        )
        .bind(self.conversation_id)
        .bind(self.r#type.name())
        .bind(self.content.as_str())
        .bind(template.transpose().map_err(encoding)?)
        .bind(self.client_id.as_deref())
        .bind(self.author.id)
        .bind(status)
        .bind(now.millis())
        .bind(version)
        .fetch_one(connection)
        .await?;
        Ok(Message {
            id: row.try_get("id")?,
            conversation_id: self.conversation_id,
            direction: Direction::Outbound,
            r#type: self.r#type,
            content: self.content.clone(),
            media: None,
            location: None,
            reply_to: None,
            sender: Some(self.sender()),
            status: status.map(Into::into),
            error: None,
            client_id: self.client_id.clone(),
            created_at: now,
            version,
        })
    }

    async fn announce(
        &self,
        connection: &mut Connection,
        message: &Message,
        department_id: Option<i64>,
        sequence: i64,
    ) -> Result<(), sqlx::Error> {
        let socket_id = self.socket_id.clone();
        let event = events::sent(message, department_id, &self.event_id, socket_id);
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
            template: self.template.clone(),
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

/// A message's turn in its conversation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    /// The next number of the conversation's sequence.
    pub(super) sequence: i64,
    /// Whether the conversation is closed.
    pub(super) is_closed: bool,
}

/// The turn of a message of this time. From here to the commit nobody else writes in the
/// conversation: message ids, sequence and commits have one order.
pub(super) async fn next_turn(
    connection: &mut Connection,
    conversation_id: i64,
    written_at: Timestamp,
) -> Result<Turn, sqlx::Error> {
    let row = query(
        "UPDATE conversations SET last_sequence = last_sequence + 1, last_message_at =
            CASE WHEN last_message_at > $2 THEN last_message_at ELSE $2 END
         WHERE id = $1 RETURNING last_sequence, CASE status WHEN 'closed' THEN 1 ELSE 0 END AS closed",
    )
    .bind(conversation_id)
    .bind(written_at.millis())
    .fetch_one(connection)
    .await?;
    turn(&row)
}

fn turn(row: &AnyRow) -> Result<Turn, sqlx::Error> {
    let closed: i64 = row.try_get("closed")?;
    Ok(Turn {
        sequence: row.try_get("last_sequence")?,
        is_closed: closed == 1,
    })
}
