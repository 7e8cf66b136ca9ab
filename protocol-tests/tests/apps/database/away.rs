//! A database that is away: whoever is known goes on, and nobody is unknown.

use std::sync::atomic::{AtomicBool, Ordering};

use protocol_tests::{AppConfig, PublishedEvent, Request, TestServer, eventually, or_skip};
use tokio::net::TcpListener;

use super::server::{DatabaseServer, Kind};
use super::{has_apps, insert, is_up, relay};
use crate::support::{expect_delivery, first, logged, second, subscriber, upgrade};

/// Of an app that nobody has.
fn unknown() -> AppConfig {
    AppConfig::new("90009")
}

/// The answer of `/ready`.
async fn ready(server: &TestServer) -> (u16, String) {
    let answer = server.request(&Request::new("GET", "/ready")).await;
    (answer.status, answer.text())
}

async fn expect_maybe_there(server: &TestServer, app: &AppConfig) {
    let app = app.app();
    let (error, close) = server.open_refused(&upgrade(&app)).await;
    assert_eq!(error.error_code(), Some(4100));
    assert_eq!(close.code, Some(4100));
    let answer = server.request(&Request::get(&app, "/channels")).await;
    answer.expect_status(503);
}

async fn known_apps_go_on_while_the_database_is_killed(kind: Kind) {
    let mut database = DatabaseServer::start(kind).await;
    let server = or_skip!(relay(&database).start().await);
    is_up(&server, true).await;
    database.execute(&insert(&second(), "")).await;
    has_apps(&server, 1).await;
    let (app, channel) = (second().app(), server.channel("private-"));
    let mut early = subscriber(&server, &app, &channel).await;
    let is_over = AtomicBool::new(false);
    let publish = async {
        let mut http = server.http();
        let mut number = 0;
        while !is_over.load(Ordering::Relaxed) {
            let event = PublishedEvent::new(&channel, "number", number.to_string());
            let request = Request::post(&app, "/events").json(event.body());
            http.send(&request).await.expect_status(200);
            number += 1;
        }
        number
    };
    let kill = async {
        database.kill();
        is_up(&server, false).await;
        for _ in 0..20 {
            let own = server.channel("private-");
            let mut late = subscriber(&server, &app, &own).await;
            expect_delivery(&server, &app, &own, &mut late).await;
        }
        expect_maybe_there(&server, &unknown()).await;
        let (status, text) = ready(&server).await;
        assert_eq!(status, 200);
        assert!(text.contains("database"), "{text}");
        // Another one, that was never able to look.
        let other = or_skip!(relay(&database).start().await);
        is_up(&other, false).await;
        expect_maybe_there(&other, &second()).await;
        let (status, text) = ready(&other).await;
        assert_eq!(status, 503);
        assert!(text.contains("database"), "{text}");
        let (own, there) = (first().app(), other.channel("private-"));
        let mut client = subscriber(&other, &own, &there).await;
        expect_delivery(&other, &own, &there, &mut client).await;

        database.start_again().await;
        for server in [&server, &other] {
            is_up(server, true).await;
            has_apps(server, 1).await;
            let own = server.channel("private-");
            let mut client = subscriber(server, &app, &own).await;
            expect_delivery(server, &app, &own, &mut client).await;
            let (error, _) = server.open_refused(&upgrade(&unknown().app())).await;
            assert_eq!(error.error_code(), Some(4001));
            assert_eq!(ready(server).await.0, 200);
        }
        let third = AppConfig::new("30003");
        database.execute(&insert(&third, "")).await;
        has_apps(&server, 2).await;
        server.connect_to(&third.app()).await;
        other.finish().await;
        is_over.store(true, Ordering::Relaxed);
    };
    let (published, ()) = tokio::join!(publish, kill);
    for number in 0..published {
        let event = early.expect_event_on(&channel, "number").await;
        assert_eq!(event.data_text(), number.to_string());
    }
    let lines = server.log();
    let away = lines
        .iter()
        .filter(|line| line.contains("cannot be read ("));
    assert_eq!(away.count(), 1, "one line a minute: {lines:?}");
    logged(&server, &["can be read again"]).await;
    server.finish().await;
}

#[tokio::test]
async fn known_apps_go_on_while_sqlite_s_file_is_gone() {
    known_apps_go_on_while_the_database_is_killed(Kind::Sqlite).await;
}

#[tokio::test]
async fn known_apps_go_on_while_postgresql_is_killed() {
    known_apps_go_on_while_the_database_is_killed(Kind::Postgres).await;
}

#[tokio::test]
async fn known_apps_go_on_while_mariadb_is_killed() {
    known_apps_go_on_while_the_database_is_killed(Kind::MariaDb).await;
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_away_before_it_is_given_up() {
    let database = DatabaseServer::start(Kind::MariaDb).await;
    let server = or_skip!(relay(&database).start().await);
    is_up(&server, true).await;
    database.execute(&insert(&second(), "")).await;
    has_apps(&server, 1).await;
    database.pause();
    eventually("a key that may be there", || async {
        let (error, _) = server.open_refused(&upgrade(&unknown().app())).await;
        (error.error_code() == Some(4100)).then_some(())
    })
    .await;
    is_up(&server, false).await;
    let (app, channel) = (second().app(), server.channel("private-"));
    let mut client = subscriber(&server, &app, &channel).await;
    expect_delivery(&server, &app, &channel, &mut client).await;
    database.resume();
    is_up(&server, true).await;
    let (error, _) = server.open_refused(&upgrade(&unknown().app())).await;
    assert_eq!(error.error_code(), Some(4001));
    server.finish().await;
}

#[tokio::test]
async fn a_database_that_accepts_and_never_answers_keeps_nobody_from_the_file_s_apps() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let accept = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = silent.accept().await {
            held.push(stream);
        }
    });
    for scheme in ["postgres", "mysql"] {
        let url = format!("{scheme}://fanfare:unprinted@{address}/apps");
        let builder = TestServer::builder().app(first());
        let server = or_skip!(builder.set("apps_database.url", url).start().await);
        let (own, channel) = (first().app(), server.channel("private-"));
        let mut client = subscriber(&server, &own, &channel).await;
        expect_delivery(&server, &own, &channel, &mut client).await;
        expect_maybe_there(&server, &unknown()).await;
        let line = logged(&server, &["cannot be read (", "did not answer within"]).await;
        assert!(!line.contains("unprinted"), "{line}");
        server.finish().await;
    }
    accept.abort();
}
