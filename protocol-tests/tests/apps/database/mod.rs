//! Apps that come from a database: SQLite, and real PostgreSQL and MariaDB servers.

mod away;
mod cluster;
mod come_and_go;
mod hostile;
mod many;
mod server;
mod soketi;

use protocol_tests::{AppConfig, TestServer, TestServerBuilder, eventually};

use crate::support::first;
use server::DatabaseServer;

/// How often the tests have the table looked at.
const POLL_MS: i64 = 100;

/// A relay with one app of its own, and those of the database.
fn relay(database: &DatabaseServer) -> TestServerBuilder {
    TestServer::builder()
        .app(first())
        .set("apps_database.url", database.url())
        .set("apps_database.poll_ms", POLL_MS)
}

/// Waits until the database was read since the last change, and has so many apps.
async fn has_apps(server: &TestServer, count: usize) {
    eventually(&format!("{count} apps of the database"), || async {
        let found = server.metrics().await;
        let found = found.sum("fanfare_apps_database_apps", &[]);
        (found == count as f64).then_some(())
    })
    .await;
}

/// Waits until the relay can read the database, or cannot.
async fn is_up(server: &TestServer, up: bool) {
    let what = if up { "read" } else { "away" };
    eventually(&format!("the database to be {what}"), || async {
        let metrics = server.metrics().await;
        let found = metrics.sum("fanfare_apps_database_up", &[]);
        let is_known = metrics.has("fanfare_apps_database_up");
        (is_known && found == f64::from(u8::from(up))).then_some(())
    })
    .await;
}

/// The row of an app in Fanfare's own table, with these settings.
fn insert(app: &AppConfig, settings: &str) -> String {
    let app = app.app();
    format!(
        "INSERT INTO fanfare_apps (id, app_key, secret, settings) VALUES ('{}', '{}', '{}', '{settings}')",
        app.id, app.key, app.secret
    )
}
