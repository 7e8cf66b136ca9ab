//! Demonstration data: departments, people and conversations to try the desk with.

use sqlx::{Row as _, query};

use super::{Connection, Write};
use crate::clock::Timestamp;
use crate::people::Role;

/// The name of the fact that the data is there.
const SEEDED: &str = "demo_data";

/// Somebody to log in as.
#[derive(Clone, Copy, Debug)]
pub struct DemoUser {
    /// What to log in with.
    pub email: &'static str,
    /// The name.
    pub name: &'static str,
    /// The role.
    pub role: Role,
    /// The department.
    pub department_id: Option<i64>,
}

const fn user(
    email: &'static str,
    name: &'static str,
    role: Role,
    department_id: Option<i64>,
) -> DemoUser {
    DemoUser {
        email,
        name,
        role,
        department_id,
    }
}

/// The password of all of them.
pub const PASSWORD: &str = "password123";

/// Everybody, in the order of their ids from 1 on.
pub const USERS: [DemoUser; 10] = [
    user("admin@tims.local", "Ada Admin", Role::Admin, None),
    user(
        "operations@tims.local",
        "Otis Operations",
        Role::OperationManager,
        None,
    ),
    user("manager@tims.local", "Mara Manager", Role::Manager, Some(1)),
    user(
        "supervisor@tims.local",
        "Sol Supervisor",
        Role::AccountManager,
        Some(1),
    ),
    user("agent@tims.local", "Amir Agent", Role::Agent, Some(1)),
    user("agent2@tims.local", "Ana Agent", Role::Agent, Some(1)),
    user(
        "manager2@tims.local",
        "Milo Manager",
        Role::Manager,
        Some(2),
    ),
    user(
        "supervisor2@tims.local",
        "Sana Supervisor",
        Role::AccountManager,
        Some(2),
    ),
    user("agent3@tims.local", "Aoife Agent", Role::Agent, Some(2)),
    user("agent4@tims.local", "Arun Agent", Role::Agent, Some(2)),
];

const DEPARTMENTS: [&str; 2] = ["Sales", "Support"];

/// A conversation with its messages: who wrote (none for the customer), and what.
struct DemoConversation {
    contact: (&'static str, &'static str),
    department_id: i64,
    assigned_to: Option<i64>,
    messages: &'static [(Option<i64>, &'static str)],
}

const CONVERSATIONS: [DemoConversation; 6] = [
    DemoConversation {
        contact: ("491701000001", "Grace Hopper"),
        department_id: 1,
        assigned_to: Some(5),
        messages: &[
            (None, "Hello, is the blue bicycle still available?"),
            (Some(5), "Good morning Grace! Yes, two of them in size M."),
            (None, "Wonderful. Could you hold one for me until Friday?"),
        ],
    },
    DemoConversation {
        contact: ("491701000002", "Alan Kay"),
        department_id: 1,
        assigned_to: Some(6),
        messages: &[
            (None, "What would shipping to Hamburg cost?"),
            (Some(6), "That is 29 euros, and takes three days."),
        ],
    },
    DemoConversation {
        contact: ("491701000003", "Barbara Liskov"),
        department_id: 1,
        assigned_to: None,
        messages: &[(None, "Do you take old bicycles in part exchange?")],
    },
    DemoConversation {
        contact: ("491701000004", "Edsger Dijkstra"),
        department_id: 2,
        assigned_to: Some(9),
        messages: &[
            (None, "The rear brake squeals when it rains."),
            (Some(9), "Sorry to hear that. May I send you a set of pads?"),
            (None, "Yes please, to the same address as before."),
        ],
    },
    DemoConversation {
        contact: ("491701000005", "Radia Perlman"),
        department_id: 2,
        assigned_to: Some(10),
        messages: &[(None, "The light came without its mount.")],
    },
    DemoConversation {
        contact: ("491701000006", "Donald Knuth"),
        department_id: 2,
        assigned_to: None,
        messages: &[
            (None, "I found a mistake in the manual, page 137."),
            (None, "And another one on page 141."),
        ],
    },
];

/// Fills an empty database. All or nothing.
#[derive(Debug)]
pub struct Seed {
    /// A hash of the password for each of [`USERS`].
    pub passwords: Vec<String>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seeded {
    /// The data is there now.
    Filled,
    /// The data had been there before; nothing was changed.
    Already,
    /// There is other data, which was left alone.
    NotEmpty,
}

impl Write for Seed {
    type Outcome = Seeded;

    async fn apply(&self, connection: &mut Connection) -> Result<Seeded, sqlx::Error> {
        if seeded_before(connection).await? {
            return Ok(Seeded::Already);
        }
        if !is_empty(connection).await? {
            return Ok(Seeded::NotEmpty);
        }
        let now = Timestamp::now();
        for name in DEPARTMENTS {
            query("INSERT INTO departments (name) VALUES ($1)")
                .bind(name)
                .execute(&mut *connection)
                .await?;
        }
        for (user, password) in USERS.iter().zip(&self.passwords) {
            add_user(connection, user, password, now).await?;
        }
        for (number, conversation) in CONVERSATIONS.iter().enumerate() {
            // An hour apart, the first one the newest.
            let age = 3_600_000 * i64::try_from(number).unwrap_or_default();
            let at = Timestamp::from_millis(now.millis() - age);
            add_conversation(connection, conversation, at).await?;
        }
        query("INSERT INTO facts (name, value) VALUES ($1, $2)")
            .bind(SEEDED)
            .bind(now.to_string())
            .execute(connection)
            .await?;
        Ok(Seeded::Filled)
    }
}

async fn seeded_before(connection: &mut Connection) -> Result<bool, sqlx::Error> {
    let row = query("SELECT value FROM facts WHERE name = $1")
        .bind(SEEDED)
        .fetch_optional(connection)
        .await?;
    Ok(row.is_some())
}

async fn is_empty(connection: &mut Connection) -> Result<bool, sqlx::Error> {
    let row = query(
        "SELECT (SELECT COUNT(*) FROM users) + (SELECT COUNT(*) FROM departments)
            + (SELECT COUNT(*) FROM contacts) AS filled",
    )
    .fetch_one(connection)
    .await?;
    let filled: i64 = row.try_get("filled")?;
    Ok(filled == 0)
}

async fn add_user(
    connection: &mut Connection,
    user: &DemoUser,
    password: &str,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    query(
        "INSERT INTO users (name, email, password, role, department_id, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(user.name)
    .bind(user.email)
    .bind(password)
    .bind(user.role.name())
    .bind(user.department_id)
    .bind(now.millis())
    .execute(connection)
    .await?;
    Ok(())
}

/// The messages are a minute apart and end at `at`. They make no events: nobody waits for them.
async fn add_conversation(
    connection: &mut Connection,
    conversation: &DemoConversation,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    let (phone, name) = conversation.contact;
    let contact =
        query("INSERT INTO contacts (phone, name, created_at) VALUES ($1, $2, $3) RETURNING id")
            .bind(phone)
            .bind(name)
            .bind(at.millis())
            .fetch_one(&mut *connection)
            .await?;
    let contact_id: i64 = contact.try_get("id")?;
    let added = query(
        "INSERT INTO conversations
            (contact_id, department_id, assigned_to, status, last_message_at, created_at)
         VALUES ($1, $2, $3, 'open', $4, $4) RETURNING id",
    )
    .bind(contact_id)
    .bind(conversation.department_id)
    .bind(conversation.assigned_to)
    .bind(at.millis())
    .fetch_one(&mut *connection)
    .await?;
    let conversation_id: i64 = added.try_get("id")?;
    let newest_first = conversation.messages.iter().rev();
    let mut ages = newest_first.clone().zip(0_i64..).collect::<Vec<_>>();
    ages.reverse();
    for ((sender_id, content), minutes) in ages {
        let (direction, status) = match sender_id {
            Some(_) => ("outbound", Some("read")),
            None => ("inbound", None),
        };
        query(
            "INSERT INTO messages
                (conversation_id, direction, content, sender_id, status, created_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(conversation_id)
        .bind(direction)
        .bind(*content)
        .bind(*sender_id)
        .bind(status)
        .bind(at.millis() - minutes * 60_000)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}
