//! Users and what they are.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// What a user is at the desk, the most powerful first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Runs the installation.
    Admin,
    /// Runs all departments.
    OperationManager,
    /// Runs a department.
    Manager,
    /// Looks after a department's customers.
    AccountManager,
    /// Answers the conversations that are assigned to them.
    Agent,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Admin,
        Self::OperationManager,
        Self::Manager,
        Self::AccountManager,
        Self::Agent,
    ];

    /// As it is stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::OperationManager => "operation_manager",
            Self::Manager => "manager",
            Self::AccountManager => "account_manager",
            Self::Agent => "agent",
        }
    }
}

/// A name that is no role's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no role {0:?}")]
pub struct UnknownRole(String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(name: &str) -> Result<Self, UnknownRole> {
        Self::ALL
            .into_iter()
            .find(|role| role.name() == name)
            .ok_or_else(|| UnknownRole(name.into()))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Somebody who works at the desk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct User {
    /// The user's id.
    pub id: i64,
    /// As shown to colleagues.
    pub name: String,
    /// What the user logs in with, in lower case.
    pub email: String,
    /// What the user may do.
    pub role: Role,
    /// Where the user works; none for those who see all departments.
    pub department_id: Option<i64>,
    /// The address of a picture.
    pub avatar: Option<String>,
}
