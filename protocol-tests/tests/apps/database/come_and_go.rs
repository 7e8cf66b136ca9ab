//! What is done to rows takes effect on what is connected.

use protocol_tests::{App, AppConfig, PublishedEvent, Request, TestServer, eventually, or_skip};

use super::server::{DatabaseServer, Kind};
use super::{has_apps, insert, is_up, relay};
use crate::support::{
    expect_closed, expect_delivery, first, logged, second, subscriber, upgrade, wait_for,
};

async fn rows_come_change_and_go(kind: Kind) {
    let database = DatabaseServer::start(kind).await;
    let server = or_skip!(relay(&database).start().await);
    is_up(&server, true).await;
    let (own, app) = (first().app(), second().app());
    let channel = server.channel("private-");
    let mut here = subscriber(&server, &own, &channel).await;
    is_unknown(&server, &app).await;
    server
        .request(&Request::get(&app, "/channels"))
        .await
        .expect_status(404);

    database.execute(&insert(&second(), "")).await;
    has_apps(&server, 1).await;
    let mut there = subscriber(&server, &app, &channel).await;
    expect_delivery(&server, &app, &channel, &mut there).await;

    // A limit holds for what comes.
    let change = |set: &str| format!("UPDATE fanfare_apps SET {set} WHERE id = '{}'", app.id);
    database
        .execute(&change(
            r#"settings = '{"limits": {"event_data_bytes": 5}}'"#,
        ))
        .await;
    let unread = server.channel("private-");
    eventually("the limit to hold", || async {
        let event = PublishedEvent::new(&unread, "long", "0123456789");
        let request = Request::post(&app, "/events").json(event.body());
        let status = server.request(&request).await.status;
        (status == 413).then_some(())
    })
    .await;
    expect_delivery(&server, &app, &channel, &mut there).await;

    // A row that cannot be used takes nobody down, neither others nor its own app as it was.
    let bad = AppConfig::new("30003");
    database.execute(&insert(&bad, "{")).await;
    eventually("the row to be refused", || async {
        let refused = server.metrics().await;
        let refused = refused.sum("fanfare_apps_database_rows_refused", &[]);
        (refused == 1.0).then_some(())
    })
    .await;
    logged(&server, &["app `30003`: settings", "it is not served"]).await;
    expect_delivery(&server, &own, &channel, &mut here).await;

    // The secret is another one; the old pair is accepted for a while.
    let newer = app.with_pair("newer-key", "newer-secret");
    let settings = format!(
        r#"{{"extra_keys": [{{"key": "{}", "secret": "{}"}}]}}"#,
        app.key, app.secret
    );
    database
        .execute(&change(&format!(
            "app_key = 'newer-key', secret = 'newer-secret', settings = '{settings}'"
        )))
        .await;
    answers(&server, &Request::get(&newer, "/channels"), 200).await;
    server
        .request(&Request::get(&app, "/channels"))
        .await
        .expect_status(200);
    database.execute(&change("settings = NULL")).await;
    answers(&server, &Request::get(&app, "/channels"), 401).await;
    expect_delivery(&server, &newer, &channel, &mut there).await;

    database.execute(&change("enabled = 0")).await;
    expect_closed(&mut there, 4003).await;
    answers(&server, &Request::get(&newer, "/channels"), 403).await;
    database.execute(&change("enabled = 1")).await;
    answers(&server, &Request::get(&newer, "/channels"), 200).await;
    let mut again = subscriber(&server, &newer, &channel).await;
    wait_for(&server, "fanfare_connections", &app, 1.0).await;

    database
        .execute("DELETE FROM fanfare_apps WHERE id <> ''")
        .await;
    expect_closed(&mut again, 4001).await;
    is_unknown(&server, &newer).await;
    expect_delivery(&server, &own, &channel, &mut here).await;
    let lines = server.log();
    let about = lines.iter().filter(|line| line.contains("app `30003`"));
    assert_eq!(about.count(), 1, "a bad row is logged once");
    let has_secret = |line: &String| line.contains("-secret") || line.contains("unprinted");
    assert!(!lines.iter().any(has_secret), "{lines:?}");
    server.finish().await;
}

/// No app has the key.
async fn is_unknown(server: &TestServer, app: &App) {
    let (error, _) = server.open_refused(&upgrade(app)).await;
    assert_eq!(error.error_code(), Some(4001));
}

/// Waits until the request is answered with this status.
async fn answers(server: &TestServer, request: &Request, status: u16) {
    eventually(&format!("an answer with {status}"), || async {
        (server.request(request).await.status == status).then_some(())
    })
    .await;
}

#[tokio::test]
async fn rows_of_sqlite_come_change_and_go() {
    rows_come_change_and_go(Kind::Sqlite).await;
}

#[tokio::test]
async fn rows_of_postgresql_come_change_and_go() {
    rows_come_change_and_go(Kind::Postgres).await;
}

#[tokio::test]
async fn rows_of_mariadb_come_change_and_go() {
    rows_come_change_and_go(Kind::MariaDb).await;
}

#[tokio::test]
async fn a_row_that_names_another_app_s_key_takes_itself_down() {
    let database = DatabaseServer::start(Kind::Sqlite).await;
    let server = or_skip!(relay(&database).start().await);
    is_up(&server, true).await;
    database.execute(&insert(&second(), "")).await;
    has_apps(&server, 1).await;
    let app = second().app();
    let channel = server.channel("private-");
    let mut client = subscriber(&server, &app, &channel).await;
    // It is the first in the order of ids.
    let extra = format!(
        r#"{{"extra_keys": [{{"key": "{}", "secret": "x"}}]}}"#,
        app.key
    );
    let other = AppConfig::new("00001");
    database.execute(&insert(&other, &extra)).await;
    logged(
        &server,
        &["app `00001` of the database is not served: another app has its key"],
    )
    .await;
    expect_delivery(&server, &app, &channel, &mut client).await;
    is_unknown(&server, &other.app()).await;
    server.finish().await;
}

#[tokio::test]
async fn the_configuration_comes_first() {
    let database = DatabaseServer::start(Kind::Sqlite).await;
    let server = or_skip!(relay(&database).start().await);
    is_up(&server, true).await;
    // The same id with another key, and another id with the same key.
    let id = insert(&AppConfig::new("10001").set("key", "other-key"), "");
    database.execute(&id).await;
    let key = insert(&AppConfig::new("40004").set("key", "key-10001"), "");
    database.execute(&key).await;
    database.execute(&insert(&second(), "")).await;
    has_apps(&server, 3).await;
    for id in ["10001", "40004"] {
        let app = format!("app `{id}` of the database is not served");
        logged(&server, &[&app]).await;
    }
    let channel = server.channel("private-");
    for app in [first().app(), second().app()] {
        let mut client = subscriber(&server, &app, &channel).await;
        expect_delivery(&server, &app, &channel, &mut client).await;
    }
    let other = first().app().with_pair("other-key", "secret-10001");
    let (error, _) = server.open_refused(&upgrade(&other)).await;
    assert_eq!(error.error_code(), Some(4001));
    // A reload of the file leaves them where they are.
    server
        .serve_apps(&[first().set("subscription_count", true)])
        .await;
    let app = second().app();
    let mut client = subscriber(&server, &app, &channel).await;
    expect_delivery(&server, &app, &channel, &mut client).await;
    server.finish().await;
}
