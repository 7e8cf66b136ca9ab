//! What is asked for again and again is found by an index, however much there once was.

use sqlx::{AssertSqlSafe, Row as _};

use crate::support::database::run;
use crate::support::{Database, Kind};

/// As SQLite goes about a statement.
async fn plan(database: &Database, statement: &str) -> String {
    let pool = database.pool().await;
    let explained = format!("EXPLAIN QUERY PLAN {statement}");
    let rows = sqlx::query(AssertSqlSafe(explained)).fetch_all(&pool).await;
    pool.close().await;
    let details = rows.unwrap();
    let details: Vec<String> = details.iter().map(|row| row.get("detail")).collect();
    details.join("; ")
}

#[tokio::test]
async fn neither_what_was_closed_nor_files_that_were_lost_are_looked_at() {
    let database = Database::empty(Kind::Sqlite).await;
    run(&["migrate"], &database.url);
    let newest = "ORDER BY c.last_message_at DESC, c.id DESC LIMIT 20";
    for (statement, index) in [
        (
            "SELECT COUNT(*), COUNT(CASE WHEN c.assigned_to = 1 THEN 1 END),
                COUNT(CASE WHEN c.last_inbound_id > 0 THEN 1 END)
             FROM conversations c WHERE c.status = 'open'"
                .to_owned(),
            "COVERING INDEX conversations_open_numbers",
        ),
        (
            format!("SELECT c.id FROM conversations c WHERE c.status = 'open' {newest}"),
            "INDEX conversations_open",
        ),
        (
            format!(
                "SELECT c.id FROM conversations c
                 WHERE c.status = 'open' AND c.assigned_to IS NULL {newest}"
            ),
            "INDEX conversations_open_assignee",
        ),
        (
            "SELECT SUM(size) FROM media WHERE state = 'ready'".to_owned(),
            "COVERING INDEX media_kept",
        ),
    ] {
        let plan = plan(&database, &statement).await;
        assert!(plan.contains(index), "{statement}: {plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{statement}: {plan}");
    }
}
