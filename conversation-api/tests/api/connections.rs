//! Clients that hold connections: they are cut off, and everybody else is served.

use std::time::Duration;

use protocol_tests::{Connection, Ended, Request, eventually, within};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::support::{Api, Database, Kind};

const CHEAPEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// Has a body that ends, and does not announce how many bytes it has.
const CHUNKED: &[u8] =
    b"POST /api/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";

/// Sends requests until the connection is ended. Nothing is read of the answers.
async fn pipeline(mut connection: Connection, first: &[u8]) {
    let requests = [first, &CHEAPEST.repeat(2000)].concat();
    let mut sent = 0;
    while connection.try_send(&requests).await.is_ok() {
        sent += requests.len();
        assert!(sent < 1 << 28, "whatever is sent is taken");
    }
}

#[tokio::test]
async fn pipelined_requests_whose_answers_nobody_reads_are_not_taken_without_end() {
    flood_behind(b"").await;
}

#[tokio::test]
async fn pipelined_requests_behind_a_body_in_chunks_are_not_taken_without_end() {
    flood_behind(CHUNKED).await;
}

async fn flood_behind(first: &'static [u8]) {
    const ATTACKERS: usize = 8;
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database)
        .set("HTTP_WRITE_SECONDS", "5")
        .start()
        .await;
    let mut desk = api.log_in("admin@tims.local").await;
    let before = api.resident_memory();
    let mut attackers = JoinSet::new();
    for _ in 0..ATTACKERS {
        let connection = api.connection().await;
        connection.set_small_receive_buffer();
        attackers.spawn(pipeline(connection, first));
    }
    desk.get("/api/conversations").await.expect_status(200);
    eventually("all of them to be ended", || async {
        let grown = api.resident_memory().saturating_sub(before);
        assert!(grown < (ATTACKERS as u64) * (2 << 20), "{grown} bytes more");
        let metrics = api.metrics().await;
        let ended = metrics.sum("conversation_http_write_timeouts_total", &[]);
        (ended == ATTACKERS as f64).then_some(())
    })
    .await;
    desk.get("/api/conversations").await.expect_status(200);
    within("attackers to notice", attackers.join_all()).await;
    api.stop().await;
}

#[tokio::test]
async fn idle_connections_make_room_for_others() {
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database)
        .open_files(300)
        .set("HTTP_HEAD_SECONDS", "600")
        .set("HTTP_IDLE_SECONDS", "600")
        .start()
        .await;
    let mut desk = api.log_in("admin@tims.local").await;
    let mut idle = Vec::new();
    for number in 0..400 {
        let mut connection = api.connection().await;
        if number % 2 == 0 {
            // It may be closed before it is answered.
            let _closed_early = connection.try_send(CHEAPEST).await;
            let _answer = timeout(Duration::from_secs(10), connection.receive()).await;
        }
        idle.push(connection);
        if number % 10 == 0 {
            desk.get("/api/conversations").await.expect_status(200);
        }
    }
    for _ in 0..10 {
        api.stranger().get("/up").await.expect_status(200);
    }
    let metrics = api.metrics().await;
    let closed = metrics.sum("conversation_http_closed_for_room_total", &[]);
    assert!(closed > 200.0, "{closed} were closed");
    let open = metrics.sum("conversation_http_connections", &[]);
    assert!(open < 200.0, "{open} are open");
    let log = api.log();
    let lines = log
        .iter()
        .filter(|line| line.contains("limit on open files"));
    assert_eq!(lines.count(), 1);
    drop(idle);
    api.stop().await;
}

#[tokio::test]
async fn head_that_does_not_end_is_cut_off() {
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database)
        .set("HTTP_HEAD_SECONDS", "1")
        .start()
        .await;
    let mut silent = api.connection().await;
    let mut first = api.connection().await;
    first.send(b"GET / HTTP/1.1\r\nHost:").await;
    let mut later = api.connection().await;
    later.send(CHEAPEST).await;
    later.receive().await.unwrap();
    later.send(b"GET / HTTP/1.1\r\nHost:").await;
    let started = Instant::now();
    for connection in [&mut silent, &mut first, &mut later] {
        connection.receive_to_end().await;
    }
    assert!(started.elapsed() < Duration::from_secs(15));
    api.stop().await;
}

#[tokio::test]
async fn body_that_does_not_come_is_cut_off() {
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database)
        .set("HTTP_REQUEST_SECONDS", "2")
        .start()
        .await;
    let mut connection = api.connection().await;
    let head = Request::new("POST", "/api/auth/login")
        .header("Content-Type", "application/json")
        .body("x".repeat(100))
        .encode_head(&api.endpoint.authority, "");
    connection.send(&head).await;
    let (_, ended) = connection.receive_to_end().await;
    assert!(matches!(ended, Ended::Eof | Ended::Reset));
    api.stop().await;
}

#[tokio::test]
async fn idle_connections_do_not_hold_up_a_stop() {
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database).start().await;
    let mut idle = api.connection().await;
    idle.send(CHEAPEST).await;
    idle.receive().await.unwrap();
    let silent = api.connection().await;
    let started = Instant::now();
    api.stop().await;
    assert!(started.elapsed() < Duration::from_secs(8));
    drop((idle, silent));
}
