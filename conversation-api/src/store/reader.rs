//! Reading: an answer in time, or an error.
//!
//! A database that is stopped, or a network that swallows everything, answers neither yes nor no. A
//! connection that did not answer in time is given up, so that its place in the pool is free for one
//! to a database that is back, perhaps elsewhere.

use std::future::ready;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use futures_util::{FutureExt as _, TryStreamExt as _};
use sqlx::any::{AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::pool::PoolConnection;
use sqlx::{Any, Either, Execute, Executor, SqlStr};
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

use super::availability::{Availability, too_late};
use super::{Connection, StoreError};

/// A connection for reading, until a point in time. Queries take `&mut *reader`.
#[derive(Debug)]
pub(super) struct Reader(Limited);

/// A connection whose queries end in time.
#[derive(Debug)]
pub(super) struct Limited {
    /// There until it is given up.
    connection: Option<PoolConnection<Any>>,
    deadline: Instant,
    is_late: bool,
    availability: Arc<Availability>,
}

impl Reader {
    pub(super) fn new(
        connection: PoolConnection<Any>,
        deadline: Instant,
        availability: Arc<Availability>,
    ) -> Self {
        Self(Limited {
            connection: Some(connection),
            deadline,
            is_late: false,
            availability,
        })
    }
}

impl Deref for Reader {
    type Target = Limited;

    fn deref(&self) -> &Limited {
        &self.0
    }
}

impl DerefMut for Reader {
    fn deref_mut(&mut self) -> &mut Limited {
        &mut self.0
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        let connection = self.connection.take();
        if self.is_late {
            // Back in the pool, it would wait for the answer that does not come.
            drop(connection.map(PoolConnection::detach));
        }
    }
}

impl Limited {
    fn connection(&mut self) -> Result<&mut Connection, sqlx::Error> {
        let connection = self.connection.as_deref_mut();
        connection.ok_or(sqlx::Error::PoolClosed)
    }

    /// Awaits an answer, but no longer than until the deadline.
    async fn within_time<T>(
        &mut self,
        answer: impl AsyncFnOnce(&mut Connection) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        let deadline = self.deadline;
        let result = timeout_at(deadline, answer(self.connection()?)).await;
        self.is_late |= result.is_err();
        let result = result.unwrap_or_else(|_| Err(too_late()));
        self.availability.note(&result);
        result
    }
}

type Step = Result<Either<AnyQueryResult, AnyRow>, sqlx::Error>;

impl<'c> Executor<'c> for &'c mut Limited {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Step>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let sleep = Box::pin(sleep_until(self.deadline));
        let Limited {
            connection,
            is_late,
            availability,
            ..
        } = self;
        let Some(connection) = connection.as_deref_mut() else {
            return stream::once(ready(Err(sqlx::Error::PoolClosed))).boxed();
        };
        let mut steps = connection.fetch_many(query);
        let mut sleep: Option<Pin<Box<Sleep>>> = Some(sleep);
        let steps = stream::poll_fn(move |context: &mut Context<'_>| {
            let Some(until) = &mut sleep else {
                return Poll::Ready(None);
            };
            if let Poll::Ready(step) = steps.poll_next_unpin(context) {
                return Poll::Ready(step);
            }
            std::task::ready!(until.as_mut().poll(context));
            sleep = None;
            *is_late = true;
            Poll::Ready(Some(Err(too_late())))
        });
        let availability = Arc::clone(availability);
        steps
            .inspect_ok({
                let availability = Arc::clone(&availability);
                move |_| availability.is_there()
            })
            .inspect_err(move |error| availability.failed(error))
            .boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<AnyRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        self.within_time(async |connection| connection.fetch_optional(query).await)
            .boxed()
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [AnyTypeInfo],
    ) -> BoxFuture<'e, Result<AnyStatement, sqlx::Error>>
    where
        'c: 'e,
    {
        self.within_time(async |connection| connection.prepare_with(sql, parameters).await)
            .boxed()
    }
}

impl super::Store {
    /// A connection for reading, for as long as this store is patient.
    ///
    /// A connection to a server lives by the runtime that it was made on. Workers have runtimes
    /// of their own, which end before the last pass of the outbox: so connections are made on the
    /// one that the store was opened on.
    pub(super) async fn reader(&self) -> Result<Reader, StoreError> {
        let deadline = Instant::now() + self.patience;
        let acquire = self.readers.acquire();
        let acquired = match self.database {
            super::Database::Sqlite => timeout_at(deadline, acquire).await,
            super::Database::Postgres => {
                let mut task = self.runtime.spawn(acquire);
                match timeout_at(deadline, &mut task).await {
                    Ok(joined) => Ok(joined.map_err(|_| StoreError::Closed)?),
                    Err(late) => {
                        task.abort();
                        Err(late)
                    }
                }
            }
        };
        let acquired = acquired.unwrap_or_else(|_| Err(too_late()));
        if acquired.is_err() {
            self.reading.note(&acquired);
        }
        let availability = Arc::clone(&self.reading);
        Ok(Reader::new(acquired?, deadline, availability))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sqlx::query;

    use super::super::Store;
    use super::super::availability::is_outage;
    use super::*;

    #[tokio::test]
    async fn whoever_waits_for_a_connection_or_an_answer_is_refused_in_time() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("desk.db").display());
        let url = url.parse().unwrap();
        Store::migrate(&url).await.unwrap();
        let patient = Store::open(&url).await.unwrap();
        let mut readers = Vec::new();
        for _ in 0..4 {
            readers.push(patient.reader().await.unwrap());
        }
        let hasty = patient.within(Duration::from_millis(50));
        assert!(hasty.department_exists(1).await.unwrap_err().is_outage());
        readers.clear();
        // Each time, a connection is given up; there are more of them than the pool has.
        for _ in 0..5 {
            let long = "WITH RECURSIVE n (i) AS
                (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000000)
                SELECT MAX(i) FROM n";
            let mut reader = patient.reader().await.unwrap();
            reader.deadline = Instant::now() + Duration::from_millis(50);
            let answer = query(long).fetch_one(&mut *reader).await;
            assert!(is_outage(&answer.err().unwrap()));
            let answer = query("SELECT 1").fetch_one(&mut *reader).await;
            assert!(
                answer.is_err(),
                "a connection that was late is not used again"
            );
        }
        patient.department_exists(1).await.unwrap();
        patient.close().await;
    }
}
