//! Announcing that a message has changed, in the transaction that changes it.

use sqlx::{Row as _, query};

use super::message_rows::by_id;
use super::outbox::{self, Item, Kind};
use super::{Connection, encoding};
use crate::clock::Timestamp;
use crate::events;

/// A place in a conversation's sequence for something that is not written by anybody.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    pub(super) sequence: i64,
    department_id: Option<i64>,
}

/// Takes the next number of a conversation's sequence. From here to the commit nobody else writes
/// in the conversation; messages are changed after it, so that nobody waits for each other.
pub(super) async fn take_turn(
    connection: &mut Connection,
    conversation_id: i64,
) -> Result<Turn, sqlx::Error> {
    let row = query(
        "UPDATE conversations SET last_sequence = last_sequence + 1
         WHERE id = $1 RETURNING last_sequence, department_id",
    )
    .bind(conversation_id)
    .fetch_one(connection)
    .await?;
    Ok(Turn {
        sequence: row.try_get("last_sequence")?,
        department_id: row.try_get("department_id")?,
    })
}

/// Adds `message.updated` with the message as it is now. Whatever changed the message in this turn
/// has made the turn's number its version.
pub(super) async fn announce(
    connection: &mut Connection,
    turn: Turn,
    message_id: i64,
) -> Result<(), sqlx::Error> {
    let message = by_id(&mut *connection, message_id).await?;
    let message = message.ok_or(sqlx::Error::RowNotFound)?;
    debug_assert_eq!(message.version, turn.sequence);
    let event_id = events::new_id();
    let event = events::updated(&message, turn.department_id, &event_id).map_err(encoding)?;
    let item = Item {
        kind: Kind::Broadcast,
        conversation_id: message.conversation_id,
        sequence: turn.sequence,
        event_id: &event_id,
        created_at: Timestamp::now(),
    };
    outbox::add(connection, &item, &event).await
}
