//! Conversations, as the inbox lists them.

use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{Row as _, query};

use super::message_rows::{self, columns, joins};
use super::{Store, StoreError};
use crate::channels::Scope;
use crate::clock::Timestamp;
use crate::events::{Contact, Sender};
use crate::message::Message;

/// A conversation, as one user sees it.
#[derive(Clone, Debug, Serialize)]
pub struct Conversation {
    /// The conversation's id.
    pub id: i64,
    /// `open` or `closed`.
    pub status: String,
    /// The customer.
    pub contact: Contact,
    /// Who answers as a team.
    pub department: Option<Department>,
    /// Who answers in person.
    pub assignee: Option<Sender>,
    /// The newest message.
    pub last_message: Option<Message>,
    /// The customer's messages that this user has not read.
    pub unread_count: i64,
    /// When something was written last.
    pub last_message_at: Timestamp,
    /// When the customer first wrote.
    pub created_at: Timestamp,
}

/// A department, by name.
#[derive(Clone, Debug, Serialize)]
pub struct Department {
    /// The department's id.
    pub id: i64,
    /// The department's name.
    pub name: String,
}

/// One page of a list, and how long the list is.
#[derive(Clone, Debug)]
pub struct Page {
    /// The conversations, the one with the newest message first.
    pub conversations: Vec<Conversation>,
    /// How many there are on all pages.
    pub total: i64,
}

/// The columns that [`conversation`] reads, for the user `$1`.
macro_rules! listed {
    ($rest:literal) => {
        concat!(
            "SELECT c.id, c.status, c.last_message_at, c.created_at,
                ct.id AS contact_id, ct.name AS contact_name, ct.phone AS contact_phone,
                d.id AS department_id, d.name AS department_name,
                a.id AS assignee_id, a.name AS assignee_name, a.avatar AS assignee_avatar,
                ",
            columns!(),
            ",
                (SELECT COUNT(*) FROM messages i
                 WHERE i.conversation_id = c.id AND i.direction = 'inbound'
                   AND i.id > COALESCE(r.last_read_message_id, 0)) AS unread_count
             FROM conversations c
             JOIN contacts ct ON ct.id = c.contact_id
             LEFT JOIN departments d ON d.id = c.department_id
             LEFT JOIN users a ON a.id = c.assigned_to
             LEFT JOIN read_marks r ON r.conversation_id = c.id AND r.user_id = $1
             LEFT JOIN messages m ON m.id =
                (SELECT MAX(n.id) FROM messages n WHERE n.conversation_id = c.id) ",
            joins!(),
            " ",
            $rest
        )
    };
}

impl Store {
    /// A page of the conversations in `scope`, with what `user_id` has not read of them.
    pub async fn conversations(
        &self,
        user_id: i64,
        scope: Scope,
        limit: i64,
        offset: i64,
    ) -> Result<Page, StoreError> {
        let (all, department_id, assigned_to) = match scope {
            Scope::All => (1_i64, None, None),
            Scope::Department(id) => (0, Some(id), None),
            Scope::AssignedTo(id) => (0, None, Some(id)),
            Scope::Nothing => (0, None, None),
        };
        let rows = query(listed!(
            "WHERE $2 = 1 OR c.department_id = $3 OR c.assigned_to = $4
             ORDER BY c.last_message_at DESC, c.id DESC LIMIT $5 OFFSET $6"
        ))
        .bind(user_id)
        .bind(all)
        .bind(department_id)
        .bind(assigned_to)
        .bind(limit)
        .bind(offset)
        .fetch_all(&mut *self.reader().await?)
        .await?;
        let counted = query(
            "SELECT COUNT(*) AS total FROM conversations
             WHERE $1 = 1 OR department_id = $2 OR assigned_to = $3",
        )
        .bind(all)
        .bind(department_id)
        .bind(assigned_to)
        .fetch_one(&mut *self.reader().await?)
        .await?;
        let conversations: Result<_, sqlx::Error> = rows.iter().map(conversation).collect();
        Ok(Page {
            conversations: conversations?,
            total: counted.try_get("total")?,
        })
    }

    /// A conversation as `user_id` sees it.
    pub async fn conversation(
        &self,
        user_id: i64,
        id: i64,
    ) -> Result<Option<Conversation>, StoreError> {
        let row = query(listed!("WHERE c.id = $2"))
            .bind(user_id)
            .bind(id)
            .fetch_optional(&mut *self.reader().await?)
            .await?;
        Ok(row.as_ref().map(conversation).transpose()?)
    }
}

fn conversation(row: &AnyRow) -> Result<Conversation, sqlx::Error> {
    let department: Option<i64> = row.try_get("department_id")?;
    let department = department.map(|id| {
        let name = row.try_get("department_name")?;
        Ok::<_, sqlx::Error>(Department { id, name })
    });
    let last_message: Option<i64> = row.try_get("message_id")?;
    let last_message = last_message.map(|_| message_rows::message(row));
    Ok(Conversation {
        id: row.try_get("id")?,
        status: row.try_get("status")?,
        contact: Contact {
            id: row.try_get("contact_id")?,
            name: row.try_get("contact_name")?,
            phone: row.try_get("contact_phone")?,
        },
        department: department.transpose()?,
        assignee: message_rows::person(row, ["assignee_id", "assignee_name", "assignee_avatar"])?,
        last_message: last_message.transpose()?,
        unread_count: row.try_get("unread_count")?,
        last_message_at: Timestamp::from_millis(row.try_get("last_message_at")?),
        created_at: Timestamp::from_millis(row.try_get("created_at")?),
    })
}
