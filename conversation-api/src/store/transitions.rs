//! What is changed of a conversation that is locked, and announced: its status, and who answers it.

use sqlx::query;

use super::Connection;
use super::announcements::Occasion;
use crate::channels::Ownership;

/// The status of a conversation that is under way.
pub(super) const OPEN: &str = "open";
/// The status of one that is done with.
pub(super) const CLOSED: &str = "closed";

/// Opens a conversation that is locked and closed, and announces it.
pub(super) async fn open_again(
    connection: &mut Connection,
    occasion: Occasion<'_>,
) -> Result<(), sqlx::Error> {
    set_status(connection, occasion, OPEN).await
}

/// Gives a conversation that is locked another status, and announces it.
pub(super) async fn set_status(
    connection: &mut Connection,
    occasion: Occasion<'_>,
    status: &str,
) -> Result<(), sqlx::Error> {
    query("UPDATE conversations SET status = $2 WHERE id = $1")
        .bind(occasion.conversation_id)
        .bind(status)
        .execute(&mut *connection)
        .await?;
    occasion.status_changed(connection).await
}

/// Gives a conversation that is locked to a user, or to nobody in particular, and announces it.
pub(super) async fn assign(
    connection: &mut Connection,
    occasion: Occasion<'_>,
    ownership: Ownership,
    user_id: Option<i64>,
) -> Result<(), sqlx::Error> {
    if ownership.assigned_to == user_id {
        return Ok(());
    }
    query("UPDATE conversations SET assigned_to = $2 WHERE id = $1")
        .bind(occasion.conversation_id)
        .bind(user_id)
        .execute(&mut *connection)
        .await?;
    occasion.assigned(connection, ownership.assigned_to).await
}
