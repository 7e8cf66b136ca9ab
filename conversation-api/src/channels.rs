//! Who may see what: the counterpart of Laravel's `routes/channels.php`, and the only place that
//! knows the rules. Channels and endpoints both ask here.
//!
//! | channel | who may listen |
//! | --- | --- |
//! | `private-user.{id}` | that user |
//! | `private-conversation.{id}`, `presence-conversation.{id}` | who may write in the conversation |
//! | `private-department.{id}` | admin, operation_manager: all; others: their own |

use serde::Serialize;

use crate::people::{Role, User};

/// A channel of the desk, by what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// `private-user.{id}`
    User(i64),
    /// `private-conversation.{id}`
    Conversation(i64),
    /// `presence-conversation.{id}`: who is looking at the conversation.
    ConversationPresence(i64),
    /// `private-department.{id}`
    Department(i64),
}

impl Channel {
    /// Reads the name on the wire; `None` for every other name. Ids are decimal digits and
    /// compared as integers.
    pub fn parse(name: &str) -> Option<Self> {
        let (kind, id) = name.split_once('.')?;
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let id = id.parse().ok()?;
        match kind {
            "private-user" => Some(Self::User(id)),
            "private-conversation" => Some(Self::Conversation(id)),
            "presence-conversation" => Some(Self::ConversationPresence(id)),
            "private-department" => Some(Self::Department(id)),
            _ => None,
        }
    }

    /// The name on the wire.
    pub fn name(self) -> String {
        match self {
            Self::User(id) => format!("private-user.{id}"),
            Self::Conversation(id) => format!("private-conversation.{id}"),
            Self::ConversationPresence(id) => format!("presence-conversation.{id}"),
            Self::Department(id) => format!("private-department.{id}"),
        }
    }
}

/// Whose a conversation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ownership {
    /// The department that answers.
    pub department_id: Option<i64>,
    /// The user that answers.
    pub assigned_to: Option<i64>,
}

/// The conversations that a user may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of them.
    All,
    /// Those of a department.
    Department(i64),
    /// An agent's: those assigned to them, and those of their department that nobody has.
    Agent {
        /// The agent.
        user_id: i64,
        /// Where the agent works.
        department_id: Option<i64>,
    },
    /// None.
    Nothing,
}

impl Scope {
    /// What `user` may read.
    pub fn of(user: &User) -> Self {
        match user.role {
            Role::Admin | Role::OperationManager => Self::All,
            Role::Manager | Role::AccountManager => {
                user.department_id.map_or(Self::Nothing, Self::Department)
            }
            Role::Agent => Self::Agent {
                user_id: user.id,
                department_id: user.department_id,
            },
        }
    }

    /// Whether a conversation is among them.
    pub fn contains(self, conversation: Ownership) -> bool {
        match self {
            Self::All => true,
            Self::Department(id) => conversation.department_id == Some(id),
            Self::Agent {
                user_id,
                department_id,
            } => match conversation.assigned_to {
                Some(assignee) => assignee == user_id,
                None => department_id.is_some() && conversation.department_id == department_id,
            },
            Self::Nothing => false,
        }
    }
}

/// Whether `user` may read a conversation and its messages.
pub fn may_read(user: &User, conversation: Ownership) -> bool {
    Scope::of(user).contains(conversation)
}

/// The conversations that a user may listen to, as a query asks for them: those for which one of
/// these holds. An agent may read what nobody has, and listens to no more than what is theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audible {
    /// All of them.
    pub all: bool,
    /// Those of this department.
    pub department_id: Option<i64>,
    /// Those assigned to this user.
    pub assigned_to: Option<i64>,
}

impl Audible {
    /// What `user` may listen to.
    pub fn of(user: &User) -> Self {
        let nothing = Self {
            all: false,
            department_id: None,
            assigned_to: None,
        };
        match user.role {
            Role::Admin | Role::OperationManager => Self {
                all: true,
                ..nothing
            },
            Role::Manager | Role::AccountManager => Self {
                department_id: user.department_id,
                ..nothing
            },
            Role::Agent => Self {
                assigned_to: Some(user.id),
                ..nothing
            },
        }
    }

    /// Whether a conversation is among them.
    pub fn contains(self, conversation: Ownership) -> bool {
        let is = |wanted: Option<i64>, id| wanted.is_some() && wanted == id;
        self.all
            || is(self.department_id, conversation.department_id)
            || is(self.assigned_to, conversation.assigned_to)
    }
}

/// Whether `user` may listen to the channels of a conversation.
pub fn may_listen(user: &User, conversation: Ownership) -> bool {
    Audible::of(user).contains(conversation)
}

/// Whether `user` may write in a conversation, close it and open it again: whoever may listen.
pub fn may_write(user: &User, conversation: Ownership) -> bool {
    may_listen(user, conversation)
}

/// Whether `user` may listen to a department that exists.
pub fn may_watch_department(user: &User, department_id: i64) -> bool {
    match user.role {
        Role::Admin | Role::OperationManager => true,
        Role::Manager | Role::AccountManager | Role::Agent => {
            user.department_id == Some(department_id)
        }
    }
}

/// Whether `user` may decide who answers a conversation.
pub fn may_assign(user: &User, conversation: Ownership) -> bool {
    match user.role {
        Role::Admin | Role::OperationManager | Role::Manager => may_read(user, conversation),
        Role::AccountManager | Role::Agent => false,
    }
}

/// Whether a conversation may be given to `user`: to anybody of its department, and to those who
/// see all departments.
pub fn may_be_assigned(user: &User, conversation: Ownership) -> bool {
    match user.role {
        Role::Admin | Role::OperationManager => true,
        Role::Manager | Role::AccountManager | Role::Agent => {
            conversation.department_id.is_none() || conversation.department_id == user.department_id
        }
    }
}

/// Whether `user` may take a conversation while nobody has it: whoever may read it then and could
/// be given it.
pub fn may_take(user: &User, conversation: Ownership) -> bool {
    let unassigned = Ownership {
        assigned_to: None,
        ..conversation
    };
    may_read(user, unassigned) && may_be_assigned(user, unassigned)
}

/// Whether `user` may hand a conversation over to another department: whoever decides who answers
/// it, and whoever answers it.
pub fn may_move(user: &User, conversation: Ownership) -> bool {
    let is_theirs = conversation.assigned_to == Some(user.id);
    may_assign(user, conversation) || (is_theirs && may_write(user, conversation))
}

/// What a user may do with a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Permissions {
    /// Write in it.
    pub write: bool,
    /// Take it, which nobody has.
    pub take: bool,
    /// Decide who answers it.
    pub assign: bool,
    /// Close it and open it again.
    pub resolve: bool,
    /// Hand it over to another department.
    pub r#move: bool,
}

impl Permissions {
    /// What `user` may do with a conversation.
    pub fn of(user: &User, conversation: Ownership) -> Self {
        let may_write = may_write(user, conversation);
        Self {
            write: may_write,
            take: conversation.assigned_to.is_none() && may_take(user, conversation),
            assign: may_assign(user, conversation),
            resolve: may_write,
            r#move: may_move(user, conversation),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for channel in [
            Channel::User(1),
            Channel::Conversation(i64::MAX),
            Channel::ConversationPresence(0),
            Channel::Department(2),
        ] {
            assert_eq!(Channel::parse(&channel.name()), Some(channel));
        }
    }

    #[test]
    fn ids_are_digits_and_nothing_else() {
        assert_eq!(
            Channel::parse("private-user.007"),
            Some(Channel::User(7)),
            "ids are compared as integers"
        );
        for id in [
            "",
            "1abc",
            "abc",
            "-1",
            "+1",
            " 1",
            "1 ",
            "1.0",
            "1.2",
            "0x1",
            "1e3",
            "٣",
            "9223372036854775808",
            "99999999999999999999999",
            "1\0",
            "1'--",
            "null",
        ] {
            for kind in ["private-user", "private-conversation", "private-department"] {
                assert_eq!(Channel::parse(&format!("{kind}.{id}")), None, "{id:?}");
            }
        }
    }

    #[test]
    fn other_channels_do_not_exist() {
        for name in [
            "user.1",
            "conversation.1",
            "presence-user.1",
            "presence-department.1",
            "private-conversations.1",
            "private-encrypted-conversation.1",
            "private-.1",
            ".1",
            "",
            "private-conversation",
            "PRIVATE-CONVERSATION.1",
            "news",
        ] {
            assert_eq!(Channel::parse(name), None, "{name:?}");
        }
    }
}
