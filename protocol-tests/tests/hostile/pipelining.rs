//! Requests one after the other whose answers nobody reads.

use protocol_tests::{Connection, Request, Skipped, TestServer, or_skip};
use tokio::task::JoinSet;

use crate::support::{assert_unharmed, impatient, resident_memory};

const ATTACKERS: usize = 8;

/// Sends the request over and over, and reads nothing, until the server ends the connection.
async fn flood(mut connection: Connection, request: &[u8]) {
    connection.set_small_receive_buffer();
    connection.set_send_buffer(65_536);
    let bytes = request.repeat(1 + 65_536 / request.len());
    let mut sent = 0;
    while connection.try_send(&bytes).await.is_ok() {
        sent += bytes.len();
        assert!(sent < 1 << 30, "whatever is sent is taken");
    }
}

/// Floods the server on several connections until it has ended them all. Returns how many it ended because nothing was
/// read of the answers.
async fn flood_of(request: &'static [u8]) -> Result<f64, Skipped> {
    let builder = TestServer::builder()
        .own_process()
        .set("server.write_timeout", 4);
    let server = builder.start().await?;
    let before = resident_memory(&server);
    let mut attackers = JoinSet::new();
    for _ in 0..ATTACKERS {
        attackers.spawn(flood(server.connection().await, request));
    }
    let mut most = before;
    while !attackers.is_empty() {
        server
            .request(&Request::new("GET", "/up"))
            .await
            .expect_status(200);
        most = most.max(resident_memory(&server));
        while let Some(ended) = attackers.try_join_next() {
            ended.expect("a flood that is ended does not panic");
        }
    }
    let grown = most - before;
    assert!(grown < (ATTACKERS as u64) * (2 << 20), "{grown} bytes more");
    let metrics = server.metrics().await;
    assert_unharmed(&server).await;
    server.finish().await;
    Ok(metrics.sum("fanfare_http_write_timeouts_total", &[]))
}

/// Floods the admin listener with requests for a large page on several connections until it has ended them all.
async fn flood_of_metrics(server: &TestServer, connect: impl AsyncFn() -> Connection) {
    let before = resident_memory(server);
    let mut attackers = JoinSet::new();
    for _ in 0..ATTACKERS {
        let request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
        attackers.spawn(flood(connect().await, request));
    }
    let mut most = before;
    while let Some(ended) = attackers.join_next().await {
        ended.expect("a flood that is ended does not panic");
        most = most.max(resident_memory(server));
    }
    let grown = most - before;
    assert!(grown < (ATTACKERS as u64) * (4 << 20), "{grown} bytes more");
}

#[tokio::test]
async fn pipelined_requests_to_the_admin_listener_are_not_taken_without_end() {
    let builder = TestServer::builder()
        .own_process()
        .set("server.write_timeout", 4);
    let server = or_skip!(builder.start().await);
    let admin = server.admin_endpoint().expect("it has an admin listener");
    flood_of_metrics(&server, async || Connection::open(&admin.authority).await).await;
    let metrics = server.metrics().await;
    let ended = metrics.sum("fanfare_http_write_timeouts_total", &[]);
    assert_eq!(ended, ATTACKERS as f64);
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn pipelined_requests_to_an_admin_listener_on_a_unix_socket_are_not_taken_without_end() {
    let directory = tempfile::tempdir().expect("the temporary directory is writable");
    let path = directory.path().join("admin.sock");
    let builder = TestServer::builder()
        .own_process()
        .set("server.write_timeout", 4)
        .set("admin.listen", format!("unix:{}", path.display()));
    let server = or_skip!(builder.start().await);
    flood_of_metrics(&server, async || Connection::open_unix(&path).await).await;
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn pipelined_probes_whose_answers_nobody_reads_are_not_taken_without_end() {
    let ended = or_skip!(flood_of(b"GET /up HTTP/1.1\r\nHost: x\r\n\r\n").await);
    assert_eq!(ended, ATTACKERS as f64);
}

#[tokio::test]
async fn pipelined_preflights_whose_answers_nobody_reads_are_not_taken_without_end() {
    let ended = or_skip!(flood_of(b"OPTIONS /apps/1/events HTTP/1.1\r\nHost: x\r\n\r\n").await);
    assert_eq!(ended, ATTACKERS as f64);
}

#[tokio::test]
async fn pipelined_refusals_whose_answers_nobody_reads_are_not_taken_without_end() {
    let request = b"POST /apps/1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}";
    // Some or all end otherwise: with an answer while half of the next body had arrived.
    or_skip!(flood_of(request).await);
}

#[tokio::test]
async fn pipelined_requests_whose_answers_are_read_late_are_all_answered() {
    const REQUESTS: usize = 3000;
    let server = or_skip!(
        impatient()
            .set("server.keep_alive", 60)
            .set("server.request_head_timeout", 60)
            .set("server.request_timeout", 60)
            .set("server.write_timeout", 60)
            .start()
            .await
    );
    let mut http = server.http();
    http.connection().await.set_small_receive_buffer();
    let bytes = b"GET /up HTTP/1.1\r\nHost: x\r\n\r\n".repeat(REQUESTS);
    // It fits into the buffers of the system, so that it can be sent while nothing is read.
    http.send_raw(&bytes).await;
    for _ in 0..REQUESTS {
        http.read_response().await.expect_status(200);
    }
    assert_unharmed(&server).await;
    server.finish().await;
}
