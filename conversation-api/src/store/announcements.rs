//! Events of conversations, written in the transaction of what they announce.
//!
//! Who loses a conversation is made to connect again ([`evictions`](super::evictions)), and would
//! miss what is sent in the meantime. So what they are to know goes out apart, before their
//! connections end ([`notices`]); all others get it from the outbox, in the
//! conversation's order.

use publisher::SocketId;
use sqlx::{Row as _, query};

use super::conversations::window_end;
use super::message_rows::person;
use super::outbox::{self, Item, Kind};
use super::updates::take_turn;
use super::{Connection, encoding, notices};
use crate::channels::Channel;
use crate::clock::Timestamp;
use crate::events::conversations::{
    self as events, Author, Change, ConversationAssigned, ConversationState, ConversationUpdated,
    Department, Envelope, Read,
};
use crate::events::{Contact, Sender, new_id};
use crate::people::User;

/// Somebody who changes a conversation.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The user.
    pub user: User,
    /// The user's own connection, which does not get the events.
    pub socket_id: Option<SocketId>,
}

/// What events of one change have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Occasion<'o> {
    pub(super) conversation_id: i64,
    /// Who made the change; none when it came about by itself.
    pub(super) by: Option<&'o Actor>,
    pub(super) at: Timestamp,
}

impl<'o> Occasion<'o> {
    pub(super) fn now(conversation_id: i64, by: Option<&'o Actor>) -> Self {
        Self {
            conversation_id,
            by,
            at: Timestamp::now(),
        }
    }

    /// Announces that somebody else than `previous` answers now.
    pub(super) async fn assigned(
        self,
        connection: &mut Connection,
        previous: Option<i64>,
    ) -> Result<(), sqlx::Error> {
        let state = next_state(connection, self.conversation_id).await?;
        let previous = match previous {
            Some(id) => colleague(connection, id).await?,
            None => None,
        };
        let by = self.author();
        let payload = ConversationAssigned {
            conversation_id: self.conversation_id,
            conversation: &state,
            assignee: state.assignee.as_ref(),
            previous_assignee: previous.as_ref(),
            by: by.as_ref(),
            created_at: self.at,
        };
        if let Some(previous) = &previous {
            let event_id = new_id();
            let envelope = self.envelope(vec![Channel::User(previous.id)], &event_id);
            let event = events::assigned(&payload, envelope).map_err(encoding)?;
            notices::add(connection, &event).await?;
        }
        let event_id = new_id();
        let envelope = self.envelope(everybody(&state), &event_id);
        let event = events::assigned(&payload, envelope).map_err(encoding)?;
        self.add(connection, state.version, &event_id, &event).await
    }

    /// Announces that a conversation was opened or closed.
    pub(super) async fn status_changed(
        self,
        connection: &mut Connection,
    ) -> Result<(), sqlx::Error> {
        let state = next_state(connection, self.conversation_id).await?;
        let by = self.author();
        let payload = self.update(&state, &[Change::Status], by.as_ref());
        self.add_update(connection, everybody(&state), &payload)
            .await
    }

    /// Announces that a conversation went from one department to another.
    pub(super) async fn moved(
        self,
        connection: &mut Connection,
        previous: Option<i64>,
    ) -> Result<(), sqlx::Error> {
        let state = next_state(connection, self.conversation_id).await?;
        let by = self.author();
        let payload = ConversationUpdated {
            previous_department_id: previous,
            ..self.update(&state, &[Change::Department], by.as_ref())
        };
        if let Some(previous) = previous {
            let event_id = new_id();
            let envelope = self.envelope(vec![Channel::Department(previous)], &event_id);
            let event = events::updated(&payload, envelope).map_err(encoding)?;
            notices::add(connection, &event).await?;
        }
        self.add_update(connection, everybody(&state), &payload)
            .await
    }

    /// Announces how far a user has read: to the user's other sessions, and to colleagues.
    pub(super) async fn read(
        self,
        connection: &mut Connection,
        read: Read,
    ) -> Result<(), sqlx::Error> {
        let state = next_state(connection, self.conversation_id).await?;
        let by = self.author();
        let payload = ConversationUpdated {
            read: Some(read),
            ..self.update(&state, &[Change::Read], by.as_ref())
        };
        let reader = Channel::User(read.user_id);
        let mut channels = everybody(&state);
        if !channels.contains(&reader) {
            channels.push(reader);
        }
        self.add_update(connection, channels, &payload).await
    }

    fn update<'u>(
        self,
        state: &'u ConversationState,
        changes: &'u [Change],
        by: Option<&'u Author>,
    ) -> ConversationUpdated<'u> {
        ConversationUpdated {
            conversation_id: self.conversation_id,
            changes,
            conversation: state,
            previous_department_id: None,
            read: None,
            by,
            created_at: self.at,
        }
    }

    async fn add_update(
        self,
        connection: &mut Connection,
        channels: Vec<Channel>,
        payload: &ConversationUpdated<'_>,
    ) -> Result<(), sqlx::Error> {
        let event_id = new_id();
        let envelope = self.envelope(channels, &event_id);
        let event = events::updated(payload, envelope).map_err(encoding)?;
        let sequence = payload.conversation.version;
        self.add(connection, sequence, &event_id, &event).await
    }

    async fn add(
        self,
        connection: &mut Connection,
        sequence: i64,
        event_id: &str,
        event: &publisher::Broadcast,
    ) -> Result<(), sqlx::Error> {
        let item = Item {
            kind: Kind::Broadcast,
            conversation_id: self.conversation_id,
            sequence,
            event_id,
            created_at: self.at,
        };
        outbox::add(connection, &item, event).await
    }

    fn author(self) -> Option<Author> {
        self.by.map(|actor| Author::from(&actor.user))
    }

    fn envelope(self, channels: Vec<Channel>, event_id: &str) -> Envelope<'_> {
        Envelope {
            channels,
            socket_id: self.by.and_then(|actor| actor.socket_id.clone()),
            event_id,
        }
    }
}

/// Where everybody listens whose business a conversation is.
fn everybody(state: &ConversationState) -> Vec<Channel> {
    let assignee = state.assignee.as_ref();
    let department = state.department.as_ref();
    let assignee = assignee.map(|assignee| Channel::User(assignee.id));
    let department = department.map(|department| Channel::Department(department.id));
    let conversation = Some(Channel::Conversation(state.id));
    let channels = [assignee, department, conversation];
    channels.into_iter().flatten().collect()
}

/// A conversation as it is in the turn that is taken to announce it.
async fn next_state(
    connection: &mut Connection,
    id: i64,
) -> Result<ConversationState, sqlx::Error> {
    let turn = take_turn(connection, id).await?;
    let row = query(
        "SELECT c.id, c.status, c.last_message_at, c.last_inbound_at,
            ct.id AS contact_id, ct.name AS contact_name, ct.phone AS contact_phone,
            d.id AS department_id, d.name AS department_name,
            a.id AS assignee_id, a.name AS assignee_name, a.avatar AS assignee_avatar
         FROM conversations c
         JOIN contacts ct ON ct.id = c.contact_id
         LEFT JOIN departments d ON d.id = c.department_id
         LEFT JOIN users a ON a.id = c.assigned_to
         WHERE c.id = $1",
    )
    .bind(id)
    .fetch_one(connection)
    .await?;
    let department: Option<i64> = row.try_get("department_id")?;
    let department = department.map(|id| {
        let name = row.try_get("department_name")?;
        Ok::<_, sqlx::Error>(Department { id, name })
    });
    Ok(ConversationState {
        id: row.try_get("id")?,
        status: row.try_get("status")?,
        contact: Contact {
            id: row.try_get("contact_id")?,
            name: row.try_get("contact_name")?,
            phone: row.try_get("contact_phone")?,
        },
        department: department.transpose()?,
        assignee: person(&row, ["assignee_id", "assignee_name", "assignee_avatar"])?,
        last_message_at: Timestamp::from_millis(row.try_get("last_message_at")?),
        window_ends_at: window_end(row.try_get("last_inbound_at")?),
        version: turn.sequence,
    })
}

async fn colleague(connection: &mut Connection, id: i64) -> Result<Option<Sender>, sqlx::Error> {
    let row = query("SELECT id, name, avatar FROM users WHERE id = $1")
        .bind(id)
        .fetch_optional(connection)
        .await?;
    match row {
        Some(row) => person(&row, ["id", "name", "avatar"]),
        None => Ok(None),
    }
}
