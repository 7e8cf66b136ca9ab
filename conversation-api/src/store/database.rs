//! Which databases there are, and where one is.

use std::fmt;
use std::str::FromStr;

use sqlx::ConnectOptions as _;
use sqlx::any::AnyConnectOptions;

/// The databases that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// Embedded: a file beside the process.
    Sqlite,
    /// A server, which several processes may share.
    Postgres,
}

/// Where a database is. A password in it does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl {
    url: String,
    database: Database,
}

/// A URL that names no database that is supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected sqlite://FILE or postgres://USER:PASSWORD@HOST/NAME")]
pub struct InvalidUrl;

impl FromStr for DatabaseUrl {
    type Err = InvalidUrl;

    fn from_str(url: &str) -> Result<Self, InvalidUrl> {
        let (scheme, rest) = url.split_once(':').ok_or(InvalidUrl)?;
        let database = match scheme {
            "sqlite" => Database::Sqlite,
            "postgres" | "postgresql" => Database::Postgres,
            _ => return Err(InvalidUrl),
        };
        // Each connection would have an in-memory database of its own.
        let names_nothing = rest.trim_start_matches('/').is_empty() || rest.contains(":memory:");
        if names_nothing || AnyConnectOptions::from_str(url).is_err() {
            return Err(InvalidUrl);
        }
        Ok(Self {
            url: url.into(),
            database,
        })
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("DatabaseUrl")
            .field(&self.database)
            .finish()
    }
}

impl DatabaseUrl {
    /// Which database it names.
    pub fn database(&self) -> Database {
        self.database
    }

    /// How to connect to it.
    pub(super) fn options(&self) -> Result<AnyConnectOptions, sqlx::Error> {
        let mut url = self.url.clone();
        if self.database == Database::Sqlite && !url.contains("mode=") {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str("mode=rwc");
        }
        let options = AnyConnectOptions::from_str(&url)?;
        Ok(options.disable_statement_logging())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_both_databases_are_known() {
        for (url, database) in [
            ("sqlite://desk.db", Database::Sqlite),
            ("sqlite:///var/lib/desk.db", Database::Sqlite),
            ("postgres://desk:secret@localhost/desk", Database::Postgres),
            ("postgresql://localhost/desk", Database::Postgres),
        ] {
            let url: DatabaseUrl = url.parse().unwrap();
            assert_eq!(url.database(), database);
            assert!(!format!("{url:?}").contains("secret"));
        }
        for url in [
            "",
            "desk.db",
            "mysql://localhost/desk",
            "sqlite://",
            "sqlite::memory:",
        ] {
            assert_eq!(url.parse::<DatabaseUrl>(), Err(InvalidUrl), "{url}");
        }
    }
}
