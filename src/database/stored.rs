//! An app as it is kept, and why it may not be.

use std::fmt;

use serde_json::{Map, Value};

/// An app as it is kept.
#[derive(Clone, PartialEq)]
pub struct Stored {
    /// It grows with every change that is made here: whoever changes an app names the one that it has seen.
    pub version: i64,
    /// All that is set, as `[[apps]]` of the file has it; `id`, `key`, `secret` and `enabled` always. Of a row that cannot
    /// be read there are `id`, `key` and `enabled` alone.
    pub settings: Map<String, Value>,
    /// Why the app is not served as it is kept.
    pub problem: Option<Problem>,
}

/// Why an app is not served as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Its row cannot be read, so that its settings are not known.
    #[error("{0}")]
    Unreadable(String),
    /// Its settings are those of no app.
    #[error("{0}")]
    Unfit(String),
    /// Nothing is wrong with it by itself.
    #[error("it is not served: {0}")]
    LeftOut(String),
}

/// Why rows beyond so many are left out.
pub(super) fn beyond(most: usize) -> String {
    format!(
        "there are more than {most} apps (apps_database.max_apps): those with later ids are not served"
    )
}

impl Stored {
    /// Whether its settings are those of an app, whatever else keeps it from being served.
    pub fn is_fit(&self) -> bool {
        match self.problem {
            None | Some(Problem::LeftOut(_)) => true,
            Some(Problem::Unreadable(_) | Problem::Unfit(_)) => false,
        }
    }

    /// The version, and all settings, for whoever is to change some of them and to keep the whole.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`]: what is not known would be lost.
    pub fn whole(self) -> Result<(i64, Map<String, Value>), StoreError> {
        match self.problem {
            Some(Problem::Unreadable(reason)) => Err(StoreError::Unreadable(reason)),
            _ => Ok((self.version, self.settings)),
        }
    }
}

/// Secrets do not print.
impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored")
            .field("id", &self.settings.get("id"))
            .field("version", &self.version)
            .field("problem", &self.problem)
            .finish_non_exhaustive()
    }
}

/// Why an app was not found, or not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another app, of whatever source, has its id or one of its keys.
    #[error("{0}")]
    AlreadyExists(String),
    /// The database has no such app.
    #[error("the database has no such app")]
    NotFound,
    /// Somebody else has changed it since.
    #[error("somebody else has changed the app meanwhile: look at it again")]
    Conflict,
    /// The row cannot be read: what is in it would be lost with a change.
    #[error(
        "the app's row cannot be read, and nothing but `enabled` can be changed here until it is mended in the database \
         ({0}); it can be removed"
    )]
    Unreadable(String),
    /// The settings are not those of an app; the text says which and what is expected.
    #[error("{0}")]
    Invalid(String),
    /// The database is away. Whether a change was made is not known.
    #[error("the database cannot be asked: {0}")]
    Unavailable(String),
    /// The cluster's other nodes would not know the app: the embedded database is this node's.
    #[error(
        "an app that is made here would be known to this node alone, and the cluster's other nodes would refuse its \
         clients: set apps_database.url to a database that all nodes reach"
    )]
    NotShared,
    /// The table is soketi's, which is only read.
    #[error("apps of soketi's table are changed there (apps_database.schema)")]
    ReadOnly,
}
