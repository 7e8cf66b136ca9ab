//! Who answers a conversation.

use sqlx::{Row as _, query};

use super::announcements::{Actor, Occasion};
use super::ownership::{Locked, lock};
use super::transitions::{CLOSED, assign, open_again};
use super::users::find;
use super::{Connection, Write};
use crate::channels::{may_assign, may_be_assigned, may_take};

/// Assigns a conversation to a user, or to nobody in particular.
#[derive(Debug)]
pub struct Assign {
    /// Who decides it.
    pub actor: Actor,
    /// The conversation.
    pub conversation_id: i64,
    /// The user.
    pub user_id: Option<i64>,
}

/// What came of [`Assign`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assigned {
    /// It is the user's, or was already.
    Done,
    /// There is no such conversation.
    NoConversation,
    /// The actor may not decide that.
    Denied,
    /// It cannot be given to this user.
    NotTo,
}

/// Takes a conversation that nobody has.
#[derive(Debug)]
pub struct Take {
    /// Who takes it.
    pub actor: Actor,
    /// The conversation.
    pub conversation_id: i64,
}

/// What came of [`Take`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is the actor's, or was already.
    Done,
    /// There is no such conversation.
    NoConversation,
    /// The actor may not take it.
    Denied,
    /// Somebody of this name has it.
    By(String),
}

impl Write for Assign {
    type Outcome = Assigned;

    async fn apply(&self, connection: &mut Connection) -> Result<Assigned, sqlx::Error> {
        let Some(Locked { ownership, .. }) = lock(connection, self.conversation_id).await? else {
            return Ok(Assigned::NoConversation);
        };
        if !may_assign(&self.actor.user, ownership) {
            return Ok(Assigned::Denied);
        }
        if let Some(user_id) = self.user_id {
            let user = find(connection, user_id).await?;
            if !user.is_some_and(|user| may_be_assigned(&user, ownership)) {
                return Ok(Assigned::NotTo);
            }
        }
        let occasion = Occasion::now(self.conversation_id, Some(&self.actor));
        assign(connection, occasion, ownership, self.user_id).await?;
        Ok(Assigned::Done)
    }
}

impl Write for Take {
    type Outcome = Taken;

    async fn apply(&self, connection: &mut Connection) -> Result<Taken, sqlx::Error> {
        // From here to the commit nobody else takes it.
        let Some(Locked { ownership, status }) = lock(connection, self.conversation_id).await?
        else {
            return Ok(Taken::NoConversation);
        };
        let user = &self.actor.user;
        let is_theirs = ownership.assigned_to == Some(user.id);
        if !is_theirs && !may_take(user, ownership) {
            return Ok(Taken::Denied);
        }
        if let Some(assignee) = ownership.assigned_to.filter(|_| !is_theirs) {
            let name = query("SELECT name FROM users WHERE id = $1")
                .bind(assignee)
                .fetch_one(connection)
                .await?;
            return Ok(Taken::By(name.try_get("name")?));
        }
        let occasion = Occasion::now(self.conversation_id, Some(&self.actor));
        assign(connection, occasion, ownership, Some(user.id)).await?;
        if status == CLOSED {
            open_again(connection, occasion).await?;
        }
        Ok(Taken::Done)
    }
}
