//! What a table may have in it, and what the section may not.

use protocol_tests::{TestServer, eventually, or_skip};

use super::server::{DatabaseServer, Kind};
use super::{has_apps, insert, is_up, relay};
use crate::support::{expect_delivery, first, second, subscriber};

async fn rows_may_have_anything_in_them(kind: Kind) {
    let database = DatabaseServer::start(kind).await;
    let server = or_skip!(relay(&database).start().await);
    is_up(&server, true).await;
    let row = |id: &str, key: &str, settings: &str| {
        format!(
            "INSERT INTO fanfare_apps (id, app_key, secret, settings) VALUES ({id}, {key}, 'x', {settings})"
        )
    };
    let huge = format!("'{}'", "x".repeat(2_000_000));
    let deep = format!("'{{\"limits\": {}1{}}}'", "[".repeat(100), "]".repeat(100));
    let mut rows = vec![
        row("'h1'", "'k1'", &huge),
        row("'h2'", "'k2'", "'not json'"),
        row("'h3'", "'k3'", &deep),
        row("'h4'", "'k4'", "'{\"secret_file\": \"/etc/passwd\"}'"),
        row(
            "'h5'",
            "'k5'",
            "'{\"webhooks\": [{\"url\": \"file:///etc/passwd\"}]}'",
        ),
        row("'a/b'", "'k6'", "NULL"),
        row("'h7'", "'k7\n\u{1b}[31m'", "NULL"),
        row("''", "'k8'", "NULL"),
    ];
    if kind == Kind::Sqlite {
        // Other databases take no such text.
        rows.push(row("'h9'", "CAST(x'6bff' AS TEXT)", "NULL"));
        rows.push(row("'ha'", "'ka'", "x'ff00ff'"));
    }
    for row in &rows {
        database.execute(row).await;
    }
    database.execute(&insert(&second(), "")).await;
    has_apps(&server, 1).await;
    eventually("all of them to be refused", || async {
        let refused = server.metrics().await;
        let refused = refused.sum("fanfare_apps_database_rows_refused", &[]);
        (refused == rows.len() as f64).then_some(())
    })
    .await;
    let channel = server.channel("private-");
    for app in [first().app(), second().app()] {
        let mut client = subscriber(&server, &app, &channel).await;
        expect_delivery(&server, &app, &channel, &mut client).await;
    }
    for line in server.log() {
        assert!(line.len() < 2000, "{line}");
        assert!(
            !line.contains("\\u001b") && !line.contains('\u{1b}'),
            "{line}"
        );
    }
    // So do very many.
    for start in (0..2000).step_by(1000) {
        let rows = (start..start + 1000).map(|number| format!("('b{number}', 'b{number}', ' ')"));
        let rows = rows.collect::<Vec<_>>().join(", ");
        let statement = format!("INSERT INTO fanfare_apps (id, app_key, secret) VALUES {rows}");
        database.execute(&statement).await;
    }
    eventually("many to be refused", || async {
        let refused = server.metrics().await;
        let refused = refused.sum("fanfare_apps_database_rows_refused", &[]);
        (refused == (rows.len() + 2000) as f64).then_some(())
    })
    .await;
    let lines = server.log();
    let about = lines
        .iter()
        .filter(|line| line.contains("in the database of apps"));
    assert!(about.count() <= 50, "{lines:?}");
    server.finish().await;
}

#[tokio::test]
async fn rows_of_sqlite_may_have_anything_in_them() {
    rows_may_have_anything_in_them(Kind::Sqlite).await;
}

#[tokio::test]
async fn rows_of_postgresql_may_have_anything_in_them() {
    rows_may_have_anything_in_them(Kind::Postgres).await;
}

#[tokio::test]
async fn rows_of_mariadb_may_have_anything_in_them() {
    rows_may_have_anything_in_them(Kind::MariaDb).await;
}

#[tokio::test]
async fn a_section_that_makes_no_sense_is_refused() {
    for (settings, expected) in [
        (
            &[("url", "postgres://a:unprinted@b/c d")][..],
            "apps_database.url: expected sqlite://FILE",
        ),
        (
            &[
                ("url", "sqlite://apps.db"),
                ("schema", "soketi"),
                ("table", "apps; DROP TABLE apps"),
            ],
            "apps_database.table: expected a table's name",
        ),
        (
            &[("url", "sqlite://apps.db"), ("table", "apps")],
            "apps_database.table: expected nothing",
        ),
        (
            &[("schema", "soketi")],
            "apps_database.url: missing; expected sqlite://FILE",
        ),
        (
            &[("schema", "reverb")],
            "apps_database.schema: expected `fanfare` or `soketi`",
        ),
        (
            &[("url_file", "/nonexistent/url")],
            "apps_database.url_file: expected the path of a file",
        ),
        (
            &[
                ("url_file", "/nonexistent/url"),
                ("url", "sqlite://apps.db"),
            ],
            "apps_database.url_file: expected either",
        ),
        (
            &[("poll_ms", "1")],
            "apps_database.poll_ms: expected a whole number",
        ),
    ] {
        let mut builder = TestServer::builder().app(first());
        for (key, value) in settings {
            builder = builder.set(&format!("apps_database.{key}"), *value);
        }
        let exit = or_skip!(builder.start_and_exit().await);
        assert_ne!(exit.code, Some(0));
        let log = exit.log.join("\n");
        assert!(log.contains(expected), "{log}");
        assert!(!log.contains("unprinted"), "{log}");
    }
}
