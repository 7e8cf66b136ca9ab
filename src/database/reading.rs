//! All rows of the table, from a connection.

use futures_util::TryStreamExt as _;
use sqlx::{AnyConnection, AssertSqlSafe, Row as _};

use super::known::Known;
use super::link::{Columns, Trouble, rows_within_time};
use super::place::{Kind, Schema};
use super::statements;

/// Has what is known take in so many rows, those with the first ids. Returns whether there are more.
pub(super) async fn read_rows(
    connection: &mut AnyConnection,
    (kind, schema): (Kind, &Schema),
    columns: &Columns,
    most: usize,
    known: &mut Known,
) -> Result<bool, Trouble> {
    let statement = statements::rows(kind, schema, columns, most + 1);
    let mut count = 0_usize;
    let reading = async {
        known.begin();
        let mut rows = sqlx::raw_sql(AssertSqlSafe(statement)).fetch(connection);
        while let Some(row) = rows.try_next().await? {
            count += 1;
            // To the end, which is one row away: a connection whose answer was left lying is of no more use, and on
            // another one everything would be read again.
            if count > most {
                continue;
            }
            let values = (0..columns.len()).map(|at| row.try_get::<Option<&[u8]>, _>(at));
            let values: Vec<Option<&[u8]>> = values.collect::<Result<_, _>>()?;
            known.take(columns, &values);
        }
        Ok::<_, sqlx::Error>(())
    };
    rows_within_time(reading).await?;
    Ok(count > most)
}
