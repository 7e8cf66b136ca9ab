//! One connection to the database, made anew whenever something was wrong with it.

use std::fs;
use std::future::Future;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::MigrateError;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Executor as _, Row as _};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::place::{Kind, Place, Schema, Settings};
use super::{migrations, own, soketi, statements};

/// How long a database may take to answer: to let us in, or to do what it is asked.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How long it may take to give all rows.
const ROWS_WITHIN: Duration = Duration::from_secs(20);

/// Why the database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("it did not answer within {} seconds", .0.as_secs())]
    Timeout(Duration),
    #[error("{0}")]
    Sql(#[from] sqlx::Error),
    #[error("its schema cannot be brought up to date: {0}")]
    Migration(#[from] MigrateError),
    #[error("the file {0} is gone, or another one")]
    FileIsGone(Box<str>),
    #[error("{0}")]
    File(#[from] io::Error),
    #[error("the table has no column `{0}`")]
    NoColumn(&'static str),
}

/// Waits for an answer, and not for ever.
pub(super) async fn within_time<T, E: Into<Trouble>>(
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, Trouble> {
    within(ANSWER_WITHIN, answer).await
}

/// The same, for all rows.
pub(super) async fn rows_within_time<T, E: Into<Trouble>>(
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, Trouble> {
    within(ROWS_WITHIN, answer).await
}

async fn within<T, E: Into<Trouble>>(
    limit: Duration,
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, Trouble> {
    match timeout(limit, answer).await {
        Ok(answer) => answer.map_err(Into::into),
        Err(_) => Err(Trouble::Timeout(limit)),
    }
}

/// A connection, if there is one.
#[derive(Debug)]
pub(super) struct Link {
    place: Place,
    schema: Schema,
    open: Option<Open>,
    /// Held while a connection is made: SQLite's schema is brought up to date by one at a time.
    opening: Arc<Mutex<()>>,
    /// Whether the database was reached before: a file of which that is so, and that is gone, is away, and not empty.
    was_there: bool,
}

#[derive(Debug)]
struct Open {
    connection: AnyConnection,
    /// Of the file, where it is one: what is read of a file that was removed or replaced is of no use.
    file: Option<FileId>,
}

/// Device and number of a file.
type FileId = (u64, u64);

impl Link {
    /// Nothing is connected to yet.
    pub(super) fn new(settings: &Settings, opening: &Arc<Mutex<()>>) -> Self {
        Self {
            place: settings.place.clone(),
            schema: settings.schema.clone(),
            open: None,
            opening: Arc::clone(opening),
            was_there: false,
        }
    }

    /// The connection, and whether it is a new one. One that is new has its schema up to date.
    pub(super) async fn connection(&mut self) -> Result<(&mut AnyConnection, bool), Trouble> {
        let now = self.place.file().and_then(file_id);
        let is_same = self.open.as_ref().is_some_and(|open| open.file == now);
        if !is_same {
            self.open = None;
            self.open = Some(self.connect().await?);
            self.was_there = true;
        }
        let open = self.open.as_mut().expect("it was opened, or is the same");
        Ok((&mut open.connection, !is_same))
    }

    /// What was asked went wrong, and nobody knows in which state the connection is.
    pub(super) fn give_up(&mut self) {
        self.open = None;
    }

    /// Parts in good order, if the other side lets us.
    pub(super) async fn close(&mut self) {
        if let Some(open) = self.open.take() {
            let _ = timeout(Duration::from_secs(1), open.connection.close()).await;
        }
    }

    async fn connect(&self) -> Result<Open, Trouble> {
        let _alone = self.opening.lock().await;
        let may_be_made = !self.was_there && self.schema == Schema::Fanfare;
        if let Some(file) = self.place.file() {
            if self.was_there && file_id(file).is_none() {
                return Err(Trouble::FileIsGone(file.to_string_lossy().into()));
            }
            if may_be_made {
                if matches!(self.place, Place::Embedded(_)) {
                    make_folder_of(file)?;
                }
                make_private(file)?;
            }
        }
        sqlx::any::install_default_drivers();
        let options = self.place.options(may_be_made)?;
        let mut connection = within_time(AnyConnection::connect_with(&options)).await?;
        self.prepare(&mut connection).await?;
        Ok(Open {
            connection,
            file: self.place.file().and_then(file_id),
        })
    }

    async fn prepare(&self, connection: &mut AnyConnection) -> Result<(), Trouble> {
        let kind = self.place.kind();
        let is_own = self.schema == Schema::Fanfare;
        if kind == Kind::Sqlite {
            // What was answered with success survives a power cut.
            let settings = if is_own {
                "PRAGMA busy_timeout = 3000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL"
            } else {
                "PRAGMA busy_timeout = 3000"
            };
            within_time(connection.execute(settings)).await?;
        }
        if is_own {
            within_time(migrations::run(kind, connection)).await?;
        }
        Ok(())
    }
}

/// The columns of the table that are read: of soketi's those that there are.
pub(super) async fn columns(
    connection: &mut AnyConnection,
    kind: Kind,
    schema: &Schema,
) -> Result<Columns, Trouble> {
    let Schema::Soketi(table) = schema else {
        return Ok(own::COLUMNS.to_vec());
    };
    let statement = statements::columns(kind, table);
    let query = sqlx::raw_sql(AssertSqlSafe(statement)).fetch_all(connection);
    let rows = within_time(query).await?;
    let names = rows.iter().map(|row| {
        let name: String = row.try_get(0)?;
        Ok(name.to_ascii_lowercase())
    });
    let there: Vec<String> = names.collect::<Result<_, sqlx::Error>>()?;
    let is_there = |name: &&&'static str| there.iter().any(|there| there == **name);
    let columns: Columns = soketi::COLUMNS.iter().filter(is_there).copied().collect();
    match soketi::NEEDED.iter().find(|name| !columns.contains(name)) {
        Some(missing) => Err(Trouble::NoColumn(missing)),
        None => Ok(columns),
    }
}

/// Names of columns, in the order in which they are read.
pub(super) type Columns = Vec<&'static str>;

fn file_id(file: &Path) -> Option<FileId> {
    let metadata = fs::metadata(file).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// The folder of the embedded database is the relay's own. That of a file that is configured is to be there: it may be
/// somewhere that is not mounted.
fn make_folder_of(file: &Path) -> io::Result<()> {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder),
        _ => Ok(()),
    }
}

/// A file with secrets in it is for its owner alone. SQLite gives those that it makes beside it the same permissions.
fn make_private(file: &Path) -> io::Result<()> {
    let made = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file);
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}
