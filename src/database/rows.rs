//! Single rows of Fanfare's own table: asked for, made, changed and removed.

use std::sync::atomic::Ordering;

use serde_json::{Map, Value};
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe, Connection as _, Row as _};
use tokio::sync::{mpsc, oneshot};

use super::link::{Link, Trouble, within_time};
use super::own::{self, COLUMNS, Row};
use super::parts::Parts;
use super::place::{Kind, OWN_TABLE, Schema};
use super::statements::{MOST_BYTES, bytes, parameter};
use super::stored::{Problem, StoreError, Stored, beyond};
use crate::apps::Source;

/// What is asked for.
pub(super) enum Asked {
    List {
        after: String,
        most: usize,
    },
    Get {
        id: String,
    },
    Create {
        settings: Map<String, Value>,
    },
    Update {
        id: String,
        settings: Map<String, Value>,
        version: i64,
    },
    Enable {
        id: String,
        enabled: bool,
        version: i64,
    },
    Delete {
        id: String,
        version: Option<i64>,
    },
}

/// What is asked for, and who waits for the answer.
pub(super) struct Job {
    pub(super) asked: Asked,
    pub(super) answer: oneshot::Sender<Result<Vec<Stored>, StoreError>>,
}

/// Does what is asked for, one after the other.
pub(super) struct Clerk<'p> {
    parts: &'p Parts,
    kind: Kind,
    link: Link,
}

impl<'p> Clerk<'p> {
    pub(super) fn new(parts: &'p Parts) -> Self {
        Self {
            parts,
            kind: parts.settings.place.kind(),
            link: Link::new(&parts.settings, &parts.opening),
        }
    }

    pub(super) async fn run(&mut self, jobs: &mut mpsc::Receiver<Job>) {
        while let Some(job) = jobs.recv().await {
            let answer = self.work(job.asked).await;
            // Whoever has asked may be gone.
            let _ = job.answer.send(answer);
        }
    }

    /// Closes the connection.
    pub(super) async fn close(&mut self) {
        self.link.close().await;
    }

    async fn work(&mut self, asked: Asked) -> Result<Vec<Stored>, StoreError> {
        if self.parts.settings.schema != Schema::Fanfare {
            return Err(StoreError::ReadOnly);
        }
        match asked {
            Asked::List { after, most } => self.list(&after, most).await,
            Asked::Get { id } => self.get(&id).await,
            Asked::Create { settings } => self.create(settings).await,
            Asked::Update {
                id,
                settings,
                version,
            } => self.update(&id, settings, version).await,
            Asked::Enable {
                id,
                enabled,
                version,
            } => self.enable(&id, enabled, version).await,
            Asked::Delete { id, version } => self.delete(&id, version).await,
        }
    }

    async fn list(&mut self, after: &str, most: usize) -> Result<Vec<Stored>, StoreError> {
        let (id, first) = (self.kind.quoted("id"), parameter(self.kind, 1));
        let statement = format!(
            "{} WHERE {id} > {first} ORDER BY {id} LIMIT {most}",
            self.select()
        );
        self.read(statement, after).await
    }

    async fn get(&mut self, id: &str) -> Result<Vec<Stored>, StoreError> {
        let first = parameter(self.kind, 1);
        let statement = format!(
            "{} WHERE {} = {first}",
            self.select(),
            self.kind.quoted("id")
        );
        let rows = self.read(statement, id).await?;
        if rows.is_empty() {
            return Err(StoreError::NotFound);
        }
        Ok(rows)
    }

    async fn create(&mut self, settings: Map<String, Value>) -> Result<Vec<Stored>, StoreError> {
        let row = self.checked(settings, true)?;
        let count = format!("SELECT COUNT(*) FROM {OWN_TABLE}");
        let count = self.run_for_row(sqlx::query(AssertSqlSafe(count))).await?;
        let count: i64 = count.try_get(0).map_err(unavailable)?;
        let most = self.parts.settings.max_apps;
        if usize::try_from(count).is_ok_and(|count| count >= most) {
            let text = format!(
                "there are {most} apps, which is as many as there may be (apps_database.max_apps)"
            );
            return Err(StoreError::Invalid(text));
        }
        let values = self.parameters(5);
        let statement = format!(
            "INSERT INTO {OWN_TABLE} (id, app_key, secret, enabled, settings) VALUES ({values})"
        );
        let query = sqlx::query(AssertSqlSafe(statement))
            .bind(row.id.clone())
            .bind(row.key)
            .bind(row.secret)
            .bind(i32::from(row.enabled))
            .bind(row.settings);
        self.change(query).await?;
        self.get(&row.id).await
    }

    async fn update(
        &mut self,
        id: &str,
        settings: Map<String, Value>,
        version: i64,
    ) -> Result<Vec<Stored>, StoreError> {
        let row = self.checked(settings, false)?;
        if row.id != id {
            return Err(StoreError::Invalid("id: it cannot be changed".into()));
        }
        let parameter = |number| parameter(self.kind, number);
        let statement = format!(
            "UPDATE {OWN_TABLE} SET app_key = {}, secret = {}, enabled = {}, settings = {}, version = version + 1 \
             WHERE id = {} AND version = {}",
            parameter(1),
            parameter(2),
            parameter(3),
            parameter(4),
            parameter(5),
            parameter(6)
        );
        let query = sqlx::query(AssertSqlSafe(statement))
            .bind(row.key)
            .bind(row.secret)
            .bind(i32::from(row.enabled))
            .bind(row.settings)
            .bind(row.id)
            .bind(version);
        if self.change(query).await? == 0 {
            return Err(self.why_not(id).await);
        }
        self.get(id).await
    }

    /// Leaves all else of the row as it is, whatever that is.
    async fn enable(
        &mut self,
        id: &str,
        enabled: bool,
        version: i64,
    ) -> Result<Vec<Stored>, StoreError> {
        let parameter = |number| parameter(self.kind, number);
        let statement = format!(
            "UPDATE {OWN_TABLE} SET enabled = {}, version = version + 1 WHERE id = {} AND version = {}",
            parameter(1),
            parameter(2),
            parameter(3)
        );
        let query = sqlx::query(AssertSqlSafe(statement))
            .bind(i32::from(enabled))
            .bind(id.to_owned())
            .bind(version);
        if self.change(query).await? == 0 {
            return Err(self.why_not(id).await);
        }
        self.get(id).await
    }

    async fn delete(&mut self, id: &str, version: Option<i64>) -> Result<Vec<Stored>, StoreError> {
        let parameter = |number| parameter(self.kind, number);
        let statement = format!("DELETE FROM {OWN_TABLE} WHERE id = {}", parameter(1));
        let changed = match version {
            None => {
                let query = sqlx::query(AssertSqlSafe(statement));
                self.change(query.bind(id.to_owned())).await?
            }
            Some(version) => {
                let statement = format!("{statement} AND version = {}", parameter(2));
                let query = sqlx::query(AssertSqlSafe(statement));
                self.change(query.bind(id.to_owned()).bind(version)).await?
            }
        };
        if changed == 0 {
            return Err(self.why_not(id).await);
        }
        Ok(Vec::new())
    }

    /// Why no row was changed.
    async fn why_not(&mut self, id: &str) -> StoreError {
        match self.get(id).await {
            Ok(_) => StoreError::Conflict,
            Err(error) => error,
        }
    }

    /// The app as it is kept, if it is one that would be served.
    fn checked(&self, settings: Map<String, Value>, is_new: bool) -> Result<Row, StoreError> {
        let app = (self.parts.read)(&settings).map_err(StoreError::Invalid)?;
        let apps = self.parts.relay.hub.apps();
        if is_new && apps.by_id(&app.id).is_some() {
            let text = format!("another app has the id `{}`", app.id);
            return Err(StoreError::AlreadyExists(text));
        }
        for pair in app.keys.iter() {
            let other = apps.by_key(pair.key());
            if other.is_some_and(|other| other.app.id != app.id) {
                let text = format!("another app has the key `{}`", pair.key());
                return Err(StoreError::AlreadyExists(text));
            }
        }
        let row = own::row(settings);
        if row.settings.len() > MOST_BYTES || row.secret.len() > MOST_BYTES {
            let text = format!("expected at most {MOST_BYTES} bytes of settings, found more");
            return Err(StoreError::Invalid(text));
        }
        Ok(row)
    }

    fn select(&self) -> String {
        let columns = COLUMNS.map(|column| bytes(self.kind, column)).join(", ");
        format!("SELECT {columns}, version FROM {OWN_TABLE}")
    }

    fn parameters(&self, count: usize) -> String {
        let all: Vec<String> = (1..=count)
            .map(|number| parameter(self.kind, number))
            .collect();
        all.join(", ")
    }

    async fn read(&mut self, statement: String, of: &str) -> Result<Vec<Stored>, StoreError> {
        let query = sqlx::query(AssertSqlSafe(statement)).bind(of.to_owned());
        let connection = self.connection().await?;
        let rows = within_time(query.fetch_all(connection)).await;
        let rows = rows.map_err(|trouble| self.gave_up(trouble))?;
        rows.iter().map(|row| self.stored(row)).collect()
    }

    /// A row for people: one that cannot be used is shown with what is wrong.
    fn stored(&self, row: &AnyRow) -> Result<Stored, StoreError> {
        let columns = (0..COLUMNS.len()).map(|at| row.try_get::<Option<&[u8]>, _>(at));
        let columns: Vec<_> = columns.collect::<Result<_, _>>().map_err(unavailable)?;
        let version = row.try_get(COLUMNS.len()).map_err(unavailable)?;
        let (settings, problem) = match own::read(&columns) {
            Ok(settings) => {
                let problem = match (self.parts.read)(&settings) {
                    Ok(app) => self.left_out(&app.id).map(Problem::LeftOut),
                    Err(reason) => Some(Problem::Unfit(reason)),
                };
                (settings, problem)
            }
            Err(reason) => (own::remains(&columns), Some(Problem::Unreadable(reason))),
        };
        Ok(Stored {
            version,
            settings,
            problem,
        })
    }

    /// Why an app was not served after the last look, though nothing is wrong with it.
    fn left_out(&self, id: &str) -> Option<String> {
        let apps = self.parts.relay.hub.apps();
        let taken = apps.taken(Source::Database, id);
        if let Some(taken) = taken {
            return Some(taken.to_string());
        }
        let is_served = apps.one(id).is_some() && !apps.is_configured(id);
        let are_more = self.parts.looks.are_more.load(Ordering::Relaxed);
        (are_more && !is_served).then(|| beyond(self.parts.settings.max_apps))
    }

    async fn run_for_row(
        &mut self,
        query: Query<'_, Any, AnyArguments>,
    ) -> Result<AnyRow, StoreError> {
        let connection = self.connection().await?;
        let row = within_time(query.fetch_one(connection)).await;
        row.map_err(|trouble| self.gave_up(trouble))
    }

    /// Changes something; returns how many rows.
    async fn change(&mut self, query: Query<'_, Any, AnyArguments>) -> Result<u64, StoreError> {
        let connection = self.connection().await?;
        match within_time(query.execute(connection)).await {
            Ok(done) => Ok(done.rows_affected()),
            Err(Trouble::Sql(sqlx::Error::Database(error))) if error.is_unique_violation() => {
                let text = "another app has this id or key".into();
                Err(StoreError::AlreadyExists(text))
            }
            Err(trouble) => Err(self.gave_up(trouble)),
        }
    }

    /// A connection that answers: one that was idle for long may be so no more.
    async fn connection(&mut self) -> Result<&mut sqlx::AnyConnection, StoreError> {
        let is_fine = match self.link.connection().await {
            Ok((connection, _)) => within_time(connection.ping()).await.is_ok(),
            Err(trouble) => return Err(unavailable(trouble)),
        };
        if !is_fine {
            self.link.give_up();
        }
        let (connection, _) = self.link.connection().await.map_err(unavailable)?;
        Ok(connection)
    }

    fn gave_up(&mut self, trouble: Trouble) -> StoreError {
        self.link.give_up();
        unavailable(trouble)
    }
}

fn unavailable(trouble: impl ToString) -> StoreError {
    StoreError::Unavailable(trouble.to_string())
}
