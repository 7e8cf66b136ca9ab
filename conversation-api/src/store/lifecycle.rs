//! What becomes of a conversation: it is closed, opened again, and handed over to another
//! department.

use sqlx::query;

use super::announcements::{Actor, Occasion};
use super::ownership::{Locked, lock};
use super::transitions::{CLOSED, OPEN, assign, open_again, set_status};
use super::users::find;
use super::{Connection, Write};
use crate::channels::{Ownership, may_be_assigned, may_move, may_write};
use crate::people::User;

/// Closes a conversation, or opens it again.
#[derive(Debug)]
pub struct SetStatus {
    /// Who does it.
    pub actor: Actor,
    /// The conversation.
    pub conversation_id: i64,
    /// Whether it is to be open.
    pub open: bool,
}

/// Hands a conversation over to another department.
#[derive(Debug)]
pub struct Move {
    /// Who does it.
    pub actor: Actor,
    /// The conversation.
    pub conversation_id: i64,
    /// The department.
    pub department_id: i64,
}

/// What came of [`SetStatus`] or [`Move`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It is as it was asked to be, or was already.
    Done,
    /// There is no such conversation.
    NoConversation,
    /// The actor may not do that.
    Denied,
    /// There is no such department.
    NoDepartment,
}

impl Write for SetStatus {
    type Outcome = Changed;

    async fn apply(&self, connection: &mut Connection) -> Result<Changed, sqlx::Error> {
        let Some(Locked { ownership, status }) = lock(connection, self.conversation_id).await?
        else {
            return Ok(Changed::NoConversation);
        };
        if !may_write(&self.actor.user, ownership) {
            return Ok(Changed::Denied);
        }
        let wanted = if self.open { OPEN } else { CLOSED };
        if status != wanted {
            let occasion = Occasion::now(self.conversation_id, Some(&self.actor));
            set_status(connection, occasion, wanted).await?;
        }
        Ok(Changed::Done)
    }
}

impl Write for Move {
    type Outcome = Changed;

    async fn apply(&self, connection: &mut Connection) -> Result<Changed, sqlx::Error> {
        let Some(Locked { ownership, .. }) = lock(connection, self.conversation_id).await? else {
            return Ok(Changed::NoConversation);
        };
        if !may_move(&self.actor.user, ownership) {
            return Ok(Changed::Denied);
        }
        let department = query("SELECT 1 FROM departments WHERE id = $1")
            .bind(self.department_id)
            .fetch_optional(&mut *connection)
            .await?;
        if department.is_none() {
            return Ok(Changed::NoDepartment);
        }
        if ownership.department_id == Some(self.department_id) {
            return Ok(Changed::Done);
        }
        let moved = Ownership {
            department_id: Some(self.department_id),
            ..ownership
        };
        let leaves = leaves_assignee(connection, moved).await?;
        query(
            "UPDATE conversations SET department_id = $2,
                assigned_to = CASE WHEN $3 = 1 THEN NULL ELSE assigned_to END
             WHERE id = $1",
        )
        .bind(self.conversation_id)
        .bind(self.department_id)
        .bind(i64::from(leaves))
        .execute(&mut *connection)
        .await?;
        let occasion = Occasion::now(self.conversation_id, Some(&self.actor));
        occasion.moved(connection, ownership.department_id).await?;
        if leaves {
            occasion.assigned(connection, ownership.assigned_to).await?;
        }
        Ok(Changed::Done)
    }
}

/// Opens a conversation again if it was closed, because an agent writes in it.
pub(super) async fn agent_writes(
    connection: &mut Connection,
    conversation_id: i64,
    author: &User,
) -> Result<(), sqlx::Error> {
    match lock(connection, conversation_id).await? {
        Some(Locked { status, .. }) if status == CLOSED => {
            // The page of whoever writes has to know, too: it did not ask for this.
            let actor = Actor {
                user: author.clone(),
                socket_id: None,
            };
            open_again(connection, Occasion::now(conversation_id, Some(&actor))).await
        }
        _ => Ok(()),
    }
}

/// Opens a conversation again if it was closed, because the customer writes in it. Whoever
/// answered it goes on, unless they could not be given it now.
pub(super) async fn customer_writes(
    connection: &mut Connection,
    conversation_id: i64,
) -> Result<(), sqlx::Error> {
    match lock(connection, conversation_id).await? {
        Some(Locked { ownership, status }) if status == CLOSED => {
            let occasion = Occasion::now(conversation_id, None);
            open_again(connection, occasion).await?;
            if leaves_assignee(connection, ownership).await? {
                assign(connection, occasion, ownership, None).await?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Whether whoever has a conversation could not be given it.
async fn leaves_assignee(
    connection: &mut Connection,
    ownership: Ownership,
) -> Result<bool, sqlx::Error> {
    let Some(assignee) = ownership.assigned_to else {
        return Ok(false);
    };
    let assignee = find(connection, assignee).await?;
    Ok(!assignee.is_some_and(|user| may_be_assigned(&user, ownership)))
}
