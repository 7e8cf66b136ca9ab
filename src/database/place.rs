//! Where a database is, and what is read there.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::any::AnyConnectOptions;

/// The table of Fanfare's own schema.
pub(super) const OWN_TABLE: &str = "fanfare_apps";

/// Which apps are read, and from where.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the database is.
    pub place: Place,
    /// What is read there. Fanfare's own table.
    pub schema: Schema,
    /// How often is looked whether something has changed. 500 ms.
    pub poll: Duration,
    /// Apps that are served of it, those with the first ids. 100,000.
    pub max_apps: usize,
}

impl Settings {
    /// Fanfare's own table at this place, and all else at its default.
    pub fn new(place: Place) -> Self {
        Self {
            place,
            schema: Schema::Fanfare,
            poll: Duration::from_millis(500),
            max_apps: 100_000,
        }
    }
}

impl Settings {
    /// What is wrong with where apps are kept for a node that shares its channels with others, or may; what to do, too.
    pub fn concern(&self, is_in_cluster: bool) -> Option<String> {
        match &self.place {
            Place::Embedded(file) if is_in_cluster && self.place.is_there() => Some(format!(
                "the apps of {} are known to this node alone, and the cluster's other nodes refuse their clients (4001): \
                 set apps_database.url to a database that all nodes reach, and put them there",
                file.display()
            )),
            _ => None,
        }
    }
}

/// Where a database is.
#[derive(Clone, Debug)]
pub enum Place {
    /// One that is configured.
    Url(DatabaseUrl),
    /// A SQLite file that is made when the first app is put into it.
    Embedded(PathBuf),
}

impl Place {
    /// Whether there is a database: the embedded one comes to be with its first app.
    pub fn is_there(&self) -> bool {
        match self {
            Self::Url(_) => true,
            Self::Embedded(file) => file.exists(),
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Url(url) => url.kind,
            Self::Embedded(_) => Kind::Sqlite,
        }
    }

    /// The file that it is, if it is one.
    pub(super) fn file(&self) -> Option<&Path> {
        match self {
            Self::Url(url) => url.file(),
            Self::Embedded(file) => Some(file),
        }
    }

    /// How to connect to it. A SQLite file that is not there is made only if it `may_be_made`.
    pub(super) fn options(&self, may_be_made: bool) -> Result<AnyConnectOptions, sqlx::Error> {
        let mut url = match self {
            Self::Url(url) => url.url.to_string(),
            Self::Embedded(file) => {
                let path = file.to_string_lossy();
                let path = percent_encoding::utf8_percent_encode(&path, IN_A_PATH);
                format!("sqlite://{path}")
            }
        };
        if self.kind() == Kind::Sqlite && !url.contains("mode=") {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(if may_be_made { "mode=rwc" } else { "mode=rw" });
        }
        Ok(AnyConnectOptions::from_str(&url)?.disable_statement_logging())
    }
}

/// What would end a path within a URL, or stand for something else there.
const IN_A_PATH: &percent_encoding::AsciiSet =
    &percent_encoding::CONTROLS.add(b'%').add(b'?').add(b'#');

/// The product, the host and the name; never a password.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => fmt::Display::fmt(url, f),
            Self::Embedded(file) => write!(f, "SQLite in {}", file.display()),
        }
    }
}

/// What is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schema {
    /// Fanfare's own table, which is made if it is not there.
    Fanfare,
    /// A table as soketi has it, which is only read.
    Soketi(Table),
}

impl Schema {
    /// The table's name as it stands in statements.
    pub(super) fn table(&self, kind: Kind) -> String {
        match self {
            Self::Fanfare => kind.quoted(OWN_TABLE),
            Self::Soketi(table) => table.quoted(kind),
        }
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fanfare => write!(f, "table {OWN_TABLE}"),
            Self::Soketi(table) => write!(f, "soketi's table {table}"),
        }
    }
}

/// The name of a table, perhaps behind that of its schema and a dot: names that mean themselves within quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table(Box<str>);

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Table {
    /// Reads a name; None if it is none, or has anything in it that would have to be escaped.
    pub fn parse(text: &str) -> Option<Self> {
        let is_name = |part: &str| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            part.len() <= 63
                && part.bytes().all(fits)
                && part
                    .bytes()
                    .next()
                    .is_some_and(|byte| !byte.is_ascii_digit())
        };
        let parts: Vec<&str> = text.split('.').collect();
        (parts.len() <= 2 && parts.into_iter().all(is_name)).then(|| Self(text.into()))
    }

    /// The name as it stands in statements.
    pub(super) fn quoted(&self, kind: Kind) -> String {
        let parts = self.0.split('.').map(|part| kind.quoted(part));
        parts.collect::<Vec<_>>().join(".")
    }

    /// The schema that is named, and the table.
    pub(super) fn parts(&self) -> (Option<&str>, &str) {
        match self.0.split_once('.') {
            Some((schema, table)) => (Some(schema), table),
            None => (None, &self.0),
        }
    }
}

/// The databases that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file of this machine.
    Sqlite,
    /// PostgreSQL.
    Postgres,
    /// MySQL and MariaDB.
    Mysql,
}

impl Kind {
    /// A name as it stands in statements.
    pub(super) fn quoted(self, name: &str) -> String {
        match self {
            Self::Sqlite | Self::Postgres => format!("\"{name}\""),
            Self::Mysql => format!("`{name}`"),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
            Self::Mysql => "MySQL",
        })
    }
}

/// Where a database is. It prints without user, password and parameters.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl {
    url: Box<str>,
    kind: Kind,
}

/// A URL that names no database that is supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "sqlite://FILE, postgres://user:password@host/name or mysql://user:password@host/name, without blanks"
)]
pub struct InvalidUrl;

impl DatabaseUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// When it names no database that is supported; nothing is connected to.
    pub fn parse(url: &str) -> Result<Self, InvalidUrl> {
        let (scheme, rest) = url.split_once(':').ok_or(InvalidUrl)?;
        let kind = match scheme {
            "sqlite" => Kind::Sqlite,
            "postgres" | "postgresql" => Kind::Postgres,
            "mysql" | "mariadb" => Kind::Mysql,
            _ => return Err(InvalidUrl),
        };
        // Each connection would have an in-memory database of its own.
        let names_nothing = rest.trim_start_matches('/').is_empty() || rest.contains(":memory:");
        let has_blanks = url.contains(|c: char| c.is_whitespace() || c.is_control());
        sqlx::any::install_default_drivers();
        let is_read = AnyConnectOptions::from_str(url).is_ok();
        if names_nothing || has_blanks || !is_read {
            return Err(InvalidUrl);
        }
        Ok(Self {
            url: url.into(),
            kind,
        })
    }

    /// The file that it names, if it names one.
    fn file(&self) -> Option<&Path> {
        if self.kind != Kind::Sqlite {
            return None;
        }
        let path = self.url.strip_prefix("sqlite:")?;
        let path = path.strip_prefix("//").unwrap_or(path);
        Some(Path::new(path.split('?').next().unwrap_or(path)))
    }
}

/// The product, the host and the name of the database.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = self.file() {
            return write!(f, "SQLite in {}", file.display());
        }
        let Ok(url) = url::Url::parse(&self.url) else {
            return write!(f, "{}", self.kind);
        };
        write!(f, "{} at {}", self.kind, url.host_str().unwrap_or("?"))?;
        if let Some(port) = url.port() {
            write!(f, ":{port}")?;
        }
        write!(f, "{}", url.path())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_the_three_databases_are_known_and_do_not_show_passwords() {
        for (text, shown) in [
            ("sqlite://apps.db", "SQLite in apps.db"),
            ("sqlite:///var/apps.db?mode=rw", "SQLite in /var/apps.db"),
            (
                "postgres://me:s3cret@db:5433/apps?sslmode=require&password=s3cret",
                "PostgreSQL at db:5433/apps",
            ),
            ("mysql://me:s3cret@db/apps", "MySQL at db/apps"),
            ("mariadb://me:s3cret@db/apps", "MySQL at db/apps"),
        ] {
            let url = DatabaseUrl::parse(text).unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), shown);
        }
        for text in [
            "",
            "apps.db",
            "redis://localhost",
            "sqlite://",
            "sqlite::memory:",
            "postgres://a b/c",
            "mssql://db/apps",
        ] {
            assert_eq!(DatabaseUrl::parse(text), Err(InvalidUrl), "{text}");
        }
    }

    #[test]
    fn tables_are_plain_names() {
        for name in ["apps", "Apps_2", "_a", "public.apps"] {
            assert!(Table::parse(name).is_some(), "{name}");
        }
        let long = "a".repeat(64);
        for name in [
            "",
            ".",
            "a.",
            ".a",
            "a.b.c",
            "a b",
            "apps;drop table apps",
            "a\"b",
            "a`b",
            "a'b",
            "1a",
            "ä",
            "a\0",
            &long,
        ] {
            assert_eq!(Table::parse(name), None, "{name}");
        }
        let table = Table::parse("public.apps").unwrap();
        assert_eq!(table.quoted(Kind::Postgres), "\"public\".\"apps\"");
        assert_eq!(table.quoted(Kind::Mysql), "`public`.`apps`");
    }
}
