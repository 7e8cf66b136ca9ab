//! Requests one after the other whose answers nobody reads.

use std::time::Duration;

use protocol_tests::{Connection, Request, TestServer, eventually};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::{assert_unharmed, impatient, resident_memory};

const ATTACKERS: usize = 2;

/// Sends the request over and over until nothing more is taken for a while, and returns how many bytes were. The
/// connection, of which nothing is read, stays open.
async fn flood(connection: &mut Connection, request: &[u8]) -> usize {
    let bytes = request.repeat(1 + 65_536 / request.len());
    let mut sent = 0;
    while let Ok(Ok(())) = timeout(Duration::from_secs(1), connection.try_send(&bytes)).await {
        sent += bytes.len();
        assert!(sent < 1 << 30, "whatever is sent is taken");
    }
    sent
}

async fn flood_of(request: &'static [u8]) {
    let Some(server) = TestServer::builder()
        .own_process()
        .set("server.write_timeout", 4)
        .start()
        .await
    else {
        return;
    };
    let before = resident_memory(&server);
    let mut attackers = JoinSet::new();
    for _ in 0..ATTACKERS {
        let mut connection = server.connection().await;
        connection.set_receive_buffer(4096);
        attackers.spawn(async move {
            flood(&mut connection, request).await;
            connection
        });
    }
    let connections = attackers.join_all().await;
    let grown = resident_memory(&server).saturating_sub(before);
    // What a request of thirty bytes becomes once it is taken apart, and its answer, are there until the write blocks.
    assert!(
        grown < (ATTACKERS as u64) * (16 << 20),
        "{grown} bytes more"
    );
    server
        .request(&Request::new("GET", "/up"))
        .await
        .expect_status(200);
    eventually("all of them to be ended", || async {
        let metrics = server.metrics().await;
        let ended = metrics.sum("fanfare_http_write_timeouts_total", &[]);
        (ended == ATTACKERS as f64).then_some(())
    })
    .await;
    drop(connections);
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn pipelined_probes_whose_answers_nobody_reads_are_not_taken_without_end() {
    flood_of(b"GET /up HTTP/1.1\r\nHost: x\r\n\r\n").await;
}

#[tokio::test]
async fn pipelined_preflights_whose_answers_nobody_reads_are_not_taken_without_end() {
    flood_of(b"OPTIONS /apps/1/events HTTP/1.1\r\nHost: x\r\n\r\n").await;
}

#[tokio::test]
async fn pipelined_refusals_whose_answers_nobody_reads_are_not_taken_without_end() {
    flood_of(b"POST /apps/1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}").await;
}

#[tokio::test]
async fn pipelined_requests_whose_answers_are_read_late_are_all_answered() {
    const REQUESTS: usize = 3000;
    let Some(server) = impatient()
        .set("server.keep_alive", 60)
        .set("server.request_timeout", 60)
        .start()
        .await
    else {
        return;
    };
    let mut http = server.http();
    http.connection().await.set_receive_buffer(4096);
    let bytes = b"GET /up HTTP/1.1\r\nHost: x\r\n\r\n".repeat(REQUESTS);
    // It fits into the buffers of the system, so that it can be sent while nothing is read.
    http.send_raw(&bytes).await;
    for _ in 0..REQUESTS {
        http.read_response().await.expect_status(200);
    }
    assert_unharmed(&server).await;
    server.finish().await;
}
