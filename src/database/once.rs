//! A single look, for people who want to know what is there: nothing is made, and nothing changed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Row as _};

use super::known::Known;
use super::link::{Trouble, columns, within_time};
use super::parts::ReadApp;
use super::place::Settings;
use super::reading::read_rows;
use crate::apps::App;

/// How many rows the table has, and how long it took to count them; or why they cannot be read, without a password.
///
/// # Errors
/// A sentence for people.
pub async fn greet(settings: &Settings) -> Result<(u64, Duration), String> {
    count(settings).await.map_err(|trouble| trouble.to_string())
}

/// The apps that are served of the table.
///
/// # Errors
/// Why they cannot be read, for people.
pub async fn look_once(settings: &Settings, read: Arc<ReadApp>) -> Result<Vec<Arc<App>>, String> {
    read_once(settings, read)
        .await
        .map_err(|trouble| trouble.to_string())
}

async fn connect(settings: &Settings) -> Result<AnyConnection, Trouble> {
    sqlx::any::install_default_drivers();
    let options = settings.place.options(false)?;
    within_time(AnyConnection::connect_with(&options)).await
}

async fn count(settings: &Settings) -> Result<(u64, Duration), Trouble> {
    let kind = settings.place.kind();
    let mut connection = connect(settings).await?;
    columns(&mut connection, kind, &settings.schema).await?;
    let started = Instant::now();
    let table = settings.schema.table(kind);
    let statement = format!("SELECT COUNT(*) FROM {table}");
    let query = sqlx::query(AssertSqlSafe(statement)).fetch_one(&mut connection);
    let count: i64 = within_time(query).await?.try_get(0)?;
    Ok((u64::try_from(count).unwrap_or_default(), started.elapsed()))
}

async fn read_once(settings: &Settings, read: Arc<ReadApp>) -> Result<Vec<Arc<App>>, Trouble> {
    let (kind, schema) = (settings.place.kind(), &settings.schema);
    let mut connection = connect(settings).await?;
    let columns = columns(&mut connection, kind, schema).await?;
    let mut known = Known::new(schema.clone(), read);
    let (table, most) = ((kind, schema), settings.max_apps);
    read_rows(&mut connection, table, &columns, most, &mut known).await?;
    Ok(known.end().apps)
}
