//! What is to be sent: rows written in the transaction of what they announce.
//!
//! A **lane** is a kind and a conversation; its rows are sent in the order of their sequence. Who
//! sends holds the lane's lease, so that a lane is never sent by two at once; a lease that was not
//! given back, because its holder was killed, ends by itself. On PostgreSQL several processes share
//! the lanes.
//!
//! Leases are measured with the database's clock alone. Lanes become due by the clock of whoever
//! wrote the row, or the database's, whichever is ahead.
//!
//! - [`claim`]: taking leases
//! - [`rows`]: what waits, and forgetting what was sent

mod claim;
mod rows;

use serde::Serialize;
use sqlx::query;

pub use claim::{Claim, Lane, RetryNow};
pub use rows::{Backlog, Prune, Waiting};

use super::{Connection, encoding};
use crate::clock::Timestamp;

/// What becomes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An event for the relay.
    Broadcast,
    /// A message for the customer.
    Whatsapp,
}

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Broadcast, Self::Whatsapp];

    /// As it is stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Broadcast => "broadcast",
            Self::Whatsapp => "whatsapp",
        }
    }
}

/// A row to be written.
#[derive(Debug)]
pub(super) struct Item<'i> {
    pub(super) kind: Kind,
    pub(super) conversation_id: i64,
    pub(super) sequence: i64,
    pub(super) event_id: &'i str,
    pub(super) created_at: Timestamp,
}

/// Adds a row, in the transaction that it announces. A trigger makes its lane due.
pub(super) async fn add(
    connection: &mut Connection,
    item: &Item<'_>,
    payload: &(impl Serialize + Sync),
) -> Result<(), sqlx::Error> {
    let payload = serde_json::to_string(payload).map_err(encoding)?;
    query(
        "INSERT INTO outbox (event_id, kind, conversation_id, sequence, payload, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(item.event_id)
    .bind(item.kind.name())
    .bind(item.conversation_id)
    .bind(item.sequence)
    .bind(payload)
    .bind(item.created_at.millis())
    .execute(connection)
    .await?;
    Ok(())
}
