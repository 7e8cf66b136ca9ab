//! The statements, in the words of each database.
//!
//! Every column is read as the bytes of its text, whatever its type, and cut off where it is too long for any app: so
//! that a row may hold what it likes, and is judged here.

use super::place::{Kind, Schema, Table};

/// Bytes of a column that are looked at. A row with more in any is refused.
pub(super) const MOST_BYTES: usize = 64 << 10;

/// What stands for an absent value where the digest of a row is made.
const ABSENT: u8 = 30;
/// What stands between two values there.
const BETWEEN: u8 = 31;

/// A column as the bytes of its text.
pub(super) fn bytes(kind: Kind, column: &str) -> String {
    let column = kind.quoted(column);
    let most = MOST_BYTES + 1;
    match kind {
        Kind::Sqlite => format!("SUBSTR(CAST({column} AS BLOB), 1, {most})"),
        Kind::Postgres => {
            format!("substr(convert_to(CAST({column} AS TEXT), 'UTF8'), 1, {most})")
        }
        Kind::Mysql => {
            format!("SUBSTR(CAST(CONVERT({column} USING utf8mb4) AS BINARY), 1, {most})")
        }
    }
}

/// The text of a column that was read as [`bytes()`].
pub(super) fn text<'v>(name: &str, value: Option<&'v [u8]>) -> Result<Option<&'v str>, String> {
    match value {
        None => Ok(None),
        Some(bytes) if bytes.len() > MOST_BYTES => Err(format!(
            "{name}: expected at most {MOST_BYTES} bytes, found more"
        )),
        Some(bytes) => std::str::from_utf8(bytes)
            .map(Some)
            .map_err(|_| format!("{name}: expected a text in UTF-8, found other bytes")),
    }
}

/// These columns of all rows, so many of them at most, in the order of their ids.
pub(super) fn rows(kind: Kind, schema: &Schema, columns: &[&str], most: usize) -> String {
    let (table, id) = (schema.table(kind), kind.quoted("id"));
    let columns: Vec<String> = columns.iter().map(|column| bytes(kind, column)).collect();
    let columns = columns.join(", ");
    format!("SELECT {columns} FROM {table} ORDER BY {id} LIMIT {most}")
}

/// A text that is another one when any of these columns is another one in any row. The database makes it, so that
/// nothing travels while nothing changes.
pub(super) fn digest(kind: Kind, schema: &Schema, columns: &[&str]) -> String {
    let table = schema.table(kind);
    let or_absent = |column: &&str| match kind {
        Kind::Sqlite => String::new(),
        Kind::Postgres => {
            let column = kind.quoted(column);
            format!("coalesce(left(CAST({column} AS TEXT), {MOST_BYTES}), chr({ABSENT}))")
        }
        Kind::Mysql => format!("COALESCE({}, CHAR({ABSENT}))", bytes(kind, column)),
    };
    let columns: Vec<String> = columns.iter().map(or_absent).collect();
    let columns = columns.join(", ");
    match kind {
        // It counts the commits of others that this connection has seen.
        Kind::Sqlite => "PRAGMA data_version".into(),
        // The sum of numbers of 60 bits, in which the rows' order is of no account.
        Kind::Postgres => format!(
            "SELECT CAST(COUNT(*) AS TEXT) || '/' || CAST(COALESCE(SUM(CAST(CAST('x' || \
             substr(md5(concat_ws(chr({BETWEEN}), {columns})), 1, 15) AS bit(60)) AS bigint)), 0) \
             AS TEXT) FROM {table}"
        ),
        Kind::Mysql => format!(
            "SELECT CAST(CONCAT(COUNT(*), '/', COALESCE(SUM(CAST(CONV(LEFT(MD5(CONCAT_WS(CHAR\
             ({BETWEEN}), {columns})), 15), 16, 10) AS UNSIGNED)), 0)) AS CHAR) FROM {table}"
        ),
    }
}

/// The names of a table's columns.
pub(super) fn columns(kind: Kind, table: &Table) -> String {
    let (schema, name) = table.parts();
    match kind {
        Kind::Sqlite => format!("SELECT CAST(name AS TEXT) FROM pragma_table_info('{name}')"),
        Kind::Postgres => format!(
            "SELECT CAST(attname AS TEXT) FROM pg_attribute WHERE attrelid = to_regclass('{}') \
             AND attnum > 0 AND NOT attisdropped",
            table.quoted(kind)
        ),
        Kind::Mysql => {
            let schema = schema.map_or("DATABASE()".into(), |schema| format!("'{schema}'"));
            format!(
                "SELECT CAST(column_name AS CHAR) FROM information_schema.columns \
                 WHERE table_schema = {schema} AND table_name = '{name}'"
            )
        }
    }
}

/// The parameter with this number, the first being 1.
pub(super) fn parameter(kind: Kind, number: usize) -> String {
    match kind {
        Kind::Sqlite | Kind::Mysql => "?".into(),
        Kind::Postgres => format!("${number}"),
    }
}
