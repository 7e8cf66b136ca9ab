//! Conversations, as the inbox shows them.

use std::time::Duration;

use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row as _, query};

use super::message_rows::{self, columns, joins};
use super::{Store, StoreError};
use crate::channels::{Ownership, Permissions};
use crate::clock::Timestamp;
use crate::events::conversations::Department;
use crate::events::{Contact, Sender};
use crate::message::Message;
use crate::people::User;

/// How long after a customer's message WhatsApp takes replies that are no templates.
const WINDOW: Duration = Duration::from_secs(24 * 3600);

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
    /// The last message, in the order in which messages are listed.
    pub last_message: Option<Message>,
    /// The message that arrived last, which is another one where that came late.
    pub newest_message_id: Option<i64>,
    /// The newest message, by arrival, that this user has read; 0 when there is none.
    pub last_read_message_id: i64,
    /// The customer's messages that this user has not read.
    pub unread_count: i64,
    /// When something was written last.
    pub last_message_at: Timestamp,
    /// Until when WhatsApp takes replies that are no templates; none if the customer never wrote.
    pub window_ends_at: Option<Timestamp>,
    /// What this user may do with it.
    pub can: Permissions,
    /// When the customer first wrote.
    pub created_at: Timestamp,
    /// Which state this is: of two, the one with the higher version is the newer. What a user has
    /// read does not count.
    pub version: i64,
}

/// The columns that [`conversation`] reads, for the user `$1`.
macro_rules! listed {
    ($rest:literal) => {
        concat!(
            "SELECT c.id, c.status, c.last_message_at, c.last_inbound_at, c.created_at,
                c.last_sequence,
                ct.id AS contact_id, ct.name AS contact_name, ct.phone AS contact_phone,
                d.id AS department_id, d.name AS department_name,
                a.id AS assignee_id, a.name AS assignee_name, a.avatar AS assignee_avatar,
                ",
            columns!(),
            ",
                (SELECT MAX(n.id) FROM messages n WHERE n.conversation_id = c.id)
                    AS newest_message_id,
                COALESCE(r.last_read_message_id, 0) AS last_read_message_id,
                (SELECT COUNT(*) FROM messages i
                 WHERE i.conversation_id = c.id AND i.direction = 'inbound'
                   AND i.id > COALESCE(r.last_read_message_id, 0)) AS unread_count
             FROM conversations c
             JOIN contacts ct ON ct.id = c.contact_id
             LEFT JOIN departments d ON d.id = c.department_id
             LEFT JOIN users a ON a.id = c.assigned_to
             LEFT JOIN read_marks r ON r.conversation_id = c.id AND r.user_id = $1
             LEFT JOIN messages m ON m.id =
                (SELECT n.id FROM messages n WHERE n.conversation_id = c.id
                 ORDER BY n.created_at DESC, n.id DESC LIMIT 1) ",
            joins!(),
            " ",
            $rest
        )
    };
}

/// The end of the window that begins with a customer's last message.
pub(super) fn window_end(last_inbound_at: Option<i64>) -> Option<Timestamp> {
    last_inbound_at.map(|at| Timestamp::from_millis(at).after(WINDOW))
}

impl Store {
    /// A conversation as `user` sees it.
    pub async fn conversation(
        &self,
        user: &User,
        id: i64,
    ) -> Result<Option<Conversation>, StoreError> {
        let row = query(listed!("WHERE c.id = $2"))
            .bind(user.id)
            .bind(id)
            .fetch_optional(&mut *self.reader().await?)
            .await?;
        let row = row.as_ref();
        Ok(row.map(|row| conversation(row, user)).transpose()?)
    }

    /// Those of these conversations that exist, as `user` sees them, the one with the newest message
    /// first.
    pub(super) async fn conversations(
        &self,
        user: &User,
        ids: &[i64],
    ) -> Result<Vec<Conversation>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<_> = ids.iter().map(i64::to_string).collect();
        let statement = format!(
            listed!("WHERE c.id IN ({}) ORDER BY c.last_message_at DESC, c.id DESC"),
            ids.join(", ")
        );
        // The numbers are in the statement: it does not come again.
        let rows = query(AssertSqlSafe(statement))
            .bind(user.id)
            .persistent(false)
            .fetch_all(&mut *self.reader().await?)
            .await?;
        let conversations: Result<_, _> = rows.iter().map(|row| conversation(row, user)).collect();
        Ok(conversations?)
    }
}

fn conversation(row: &AnyRow, user: &User) -> Result<Conversation, sqlx::Error> {
    let department: Option<i64> = row.try_get("department_id")?;
    let department = department.map(|id| {
        let name = row.try_get("department_name")?;
        Ok::<_, sqlx::Error>(Department { id, name })
    });
    let assignee = message_rows::person(row, ["assignee_id", "assignee_name", "assignee_avatar"])?;
    let department = department.transpose()?;
    let ownership = Ownership {
        department_id: department.as_ref().map(|department| department.id),
        assigned_to: assignee.as_ref().map(|assignee| assignee.id),
    };
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
        department,
        assignee,
        last_message: last_message.transpose()?,
        newest_message_id: row.try_get("newest_message_id")?,
        last_read_message_id: row.try_get("last_read_message_id")?,
        unread_count: row.try_get("unread_count")?,
        last_message_at: Timestamp::from_millis(row.try_get("last_message_at")?),
        window_ends_at: window_end(row.try_get("last_inbound_at")?),
        can: Permissions::of(user, ownership),
        created_at: Timestamp::from_millis(row.try_get("created_at")?),
        version: row.try_get("last_sequence")?,
    })
}
