//! Whether the database answers: what is an outage and what a fault, and one line of log for each
//! outage, however many requests it fails. It may be read and not written, such as a file that another
//! process writes.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

/// What has been seen last of what is done with the database.
#[derive(Debug)]
pub(super) struct Availability {
    /// `read` or `write`.
    operation: &'static str,
    is_away: AtomicBool,
}

impl Availability {
    pub(super) const fn of(operation: &'static str) -> Self {
        Self {
            operation,
            is_away: AtomicBool::new(false),
        }
    }

    /// Notes what came of a query.
    pub(super) fn note<T>(&self, result: &Result<T, sqlx::Error>) {
        match result {
            Ok(_) => self.is_there(),
            Err(error) => self.failed(error),
        }
    }

    /// Notes that a query failed, whether or not for want of a database.
    pub(super) fn failed(&self, error: &sqlx::Error) {
        if is_outage(error) && !self.is_away.swap(true, Ordering::Relaxed) {
            let operation = self.operation;
            tracing::warn!(operation, %error, "the database does not answer; what needs it is refused");
        }
    }

    /// Notes that the database has answered.
    pub(super) fn is_there(&self) {
        // Reading first: it is so after every query.
        if self.is_away.load(Ordering::Relaxed) && self.is_away.swap(false, Ordering::Relaxed) {
            tracing::info!(operation = self.operation, "the database answers again");
        }
    }
}

/// That there was no answer in time.
pub(super) fn too_late() -> sqlx::Error {
    let text = "the database did not answer in time";
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, text))
}

/// Whether an error is for want of a database that answers, or of room in it: what was asked for may
/// succeed later.
///
/// PostgreSQL's classes 08 (connections), 53 (resources) and 57P (shutting down, starting); SQLite's
/// `SQLITE_BUSY`, `SQLITE_LOCKED`, `SQLITE_IOERR`, `SQLITE_FULL` and `SQLITE_CANTOPEN`, whose
/// extended codes have them in the lowest byte.
pub(super) fn is_outage(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            let of_postgres = ["08", "53", "57P"];
            match code.parse::<u32>() {
                _ if code.len() == 5 => of_postgres.iter().any(|class| code.starts_with(class)),
                Ok(number) => matches!(number & 0xff, 5 | 6 | 10 | 13 | 14),
                Err(_) => false,
            }
        }),
        _ => false,
    }
}
