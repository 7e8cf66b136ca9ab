//! Apps of a database, and command lines that make no sense.

use protocol_tests::wait::within;
use protocol_tests::{AppConfig, RedisServer, TestServer, or_skip};
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};
use tempfile::TempDir;

use crate::asked::{APP, Doctor};

/// A database of apps in a file, with a relay that serves them.
async fn served(settings: &str) -> Result<(TestServer, TempDir, String), protocol_tests::Skipped> {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/apps.db", folder.path().display());
    let server = TestServer::builder()
        .app(AppConfig::new("10001"))
        .set("apps_database.url", &*url)
        .set("apps_database.poll_ms", 50);
    let server = server.start().await?;
    let app = AppConfig::new("20002").app();
    let statement = format!(
        "INSERT INTO fanfare_apps (id, app_key, secret, settings) VALUES ('{}', '{}', '{}', '{settings}')",
        app.id, app.key, app.secret
    );
    sqlx::any::install_default_drivers();
    let work = async {
        let mut connection = AnyConnection::connect(&url).await?;
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut connection)
            .await?;
        connection.close().await
    };
    within("the database", work).await.unwrap();
    protocol_tests::eventually("the app to be served", async || {
        let found = server.metrics().await;
        (found.sum("fanfare_apps_database_apps", &[]) == 1.0).then_some(())
    })
    .await;
    Ok((server, folder, url))
}

fn with_database(url: &str) -> String {
    format!("[apps_database]\nurl = \"{url}\"\n{APP}")
}

#[tokio::test]
async fn an_app_of_the_database_is_looked_at_with_its_webhooks() {
    let hook = r#"{"webhooks":[{"url":"http://127.0.0.1:9/","events":["channel_occupied"]}]}"#;
    let (server, _folder, url) = or_skip!(served(hook).await);
    let address = format!("ws://{}", server.endpoint().authority);
    let doctor = Doctor::of(&address, &with_database(&url));
    let found = doctor.argument("--app").argument("20002").ask().await;
    for id in ["signature", "private", "presence"] {
        found.expect_ok(id);
    }
    found.expect("apps_database", "ok", "1 rows");
    found.expect_error("webhook", "127.0.0.1:9");
    server.finish().await;
}

#[tokio::test]
async fn a_database_that_is_away_is_found_and_keeps_nobody_from_the_file_s_app() {
    let server = or_skip!(TestServer::builder().own_process().start().await);
    let address = format!("ws://{}", server.endpoint().authority);
    let away = with_database("mysql://me:s3cr3t@127.0.0.1:9/apps");
    let doctor = Doctor::of(&address, &away).argument("--app");
    let found = doctor.argument("10001").ask().await;
    found.expect_error("apps_database", "apps_database.url");
    found.expect_ok("presence");
    let doctor = Doctor::of(&address, &away).argument("--app");
    let found = doctor.argument("20002").ask().await;
    found.expect_error("apps_database", "127.0.0.1:9");
    assert!(!found.has("signature"));
    assert!(!format!("{found:?}").contains("s3cr3t"));
    server.finish().await;
}

#[tokio::test]
async fn apps_that_one_node_of_a_cluster_has_for_itself_are_found() {
    let (server, folder, _url) = or_skip!(served("").await);
    let redis = RedisServer::start().await;
    let address = format!("ws://{}", server.endpoint().authority);
    let folder = folder.path().display();
    let state = format!("[server]\nstate_dir = \"{folder}\"\n");
    let cluster = format!("[cluster]\ndriver = \"redis\"\nurl = \"{}\"\n", redis.url());
    let asked = async |configuration: String| {
        let doctor = Doctor::of(&address, &configuration).argument("--app");
        doctor.argument("10001").ask().await
    };
    let found = asked(format!("{state}{cluster}{APP}")).await;
    found.expect("apps_database.shared", "warn", "apps_database.url");
    found.expect("apps_database", "ok", "1 rows");
    // How quick Redis is depends on the machine.
    found.expect_well_but(&["apps_database.shared", "redis"]);
    let alone = asked(format!("{state}{APP}")).await;
    assert!(!alone.has("apps_database.shared"), "{alone:?}");
    alone.expect_well_but(&[]);
    server.finish().await;
}

#[tokio::test]
async fn a_redis_that_laravel_is_to_publish_to_is_missed_where_it_is_away() {
    let server = or_skip!(TestServer::builder().own_process().start().await);
    let address = format!("ws://{}", server.endpoint().authority);
    let ingest = "[ingest.laravel_redis]\nenabled = true\nurl = \"redis://:s3cr3t@127.0.0.1:9\"\n";
    let found = Doctor::of(&address, &format!("{ingest}{APP}")).ask().await;
    found.expect_error("ingest.redis", "ingest.laravel_redis.url");
    assert!(!format!("{found:?}").contains("s3cr3t"));
    server.finish().await;
}

#[tokio::test]
async fn a_command_line_that_makes_no_sense_names_flags_that_there_are() {
    let two = format!("{APP}{}", APP.replace("10001", "10002"));
    let (nowhere, open) = ("ws://127.0.0.1:9", "[server]\nlisten = \"127.0.0.1:0\"\n");
    let which = Doctor::of(nowhere, &two).run().await;
    assert_eq!(which.code, 64, "{which:?}");
    assert!(which.stderr.contains("--app says which"), "{which:?}");
    assert!(which.stderr.contains("10001, 10002"), "{which:?}");
    let unknown = Doctor::of(nowhere, APP).argument("--app").argument("7");
    let unknown = unknown.run().await;
    assert_eq!(unknown.code, 64, "{unknown:?}");
    assert!(unknown.stderr.contains("no app `7`"), "{unknown:?}");
    for impossible in ["--key", "--secret", "--app-id"] {
        assert!(!unknown.stderr.contains(impossible), "{unknown:?}");
        assert!(!which.stderr.contains(impossible), "{which:?}");
    }
    let doctor = Doctor::new();
    let file = doctor.file("relay.toml", &format!("{open}{APP}"));
    let nowhere = doctor.argument("--config").argument(file.to_str().unwrap());
    let nowhere = nowhere.run().await;
    assert_eq!(nowhere.code, 64, "{nowhere:?}");
    assert!(nowhere.stderr.contains("--url"), "{nowhere:?}");
}
