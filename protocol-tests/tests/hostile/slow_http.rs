//! Clients that send, or read, as slowly as they can.

use std::time::Duration;

use protocol_tests::{Connection, Ended, Request, TestServer, or_skip, within};
use tokio::time::{Instant, timeout};

use crate::support::{SOON, assert_soon, assert_unharmed, impatient, publish_head, statuses_of};

/// Sends a byte now and then, until the server has ended the connection. Returns the statuses of what it answered.
async fn trickle(connection: &mut Connection, bytes: impl IntoIterator<Item = u8>) -> Vec<u16> {
    let started = Instant::now();
    for byte in bytes {
        assert_soon(started);
        if connection.try_send(&[byte]).await.is_err() {
            break;
        }
        // Not to wait for something: this is how fast the client is.
        if let Ok(Err(_ended)) = timeout(Duration::from_millis(100), connection.receive()).await {
            break;
        }
    }
    let (rest, _ended) = connection.receive_to_end().await;
    assert_soon(started);
    statuses_of(&rest)
}

/// Header fields without an end.
fn endless_fields() -> impl Iterator<Item = u8> {
    b"X-Slow: yes\r\n".iter().copied().cycle()
}

fn assert_refused(statuses: &[u16]) {
    let refused = statuses.iter().all(|status| matches!(status, 400 | 408));
    assert!(refused && statuses.len() <= 1, "{statuses:?}");
}

#[tokio::test]
async fn connection_that_sends_nothing_is_ended() {
    let server = or_skip!(impatient().start().await);
    let mut connections = Vec::new();
    for _ in 0..50 {
        connections.push(server.connection().await);
    }
    let started = Instant::now();
    for connection in &mut connections {
        let (bytes, _ended) = connection.receive_to_end().await;
        assert_refused(&statuses_of(&bytes));
    }
    assert_soon(started);
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn head_that_trickles_in_is_ended_at_the_head_timeout() {
    let server = or_skip!(impatient().set("server.request_timeout", 300).start().await);
    let mut connection = server.connection().await;
    connection.send(b"GET /up HTTP/1.1\r\n").await;
    assert_refused(&trickle(&mut connection, endless_fields()).await);
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn head_of_a_later_request_that_trickles_in_is_ended_at_the_head_timeout_too() {
    let server = or_skip!(
        impatient()
            .set("server.request_timeout", 300)
            .set("server.keep_alive", 300)
            .start()
            .await
    );
    let mut http = server.http();
    for _ in 0..3 {
        http.send(&Request::new("GET", "/up"))
            .await
            .expect_status(200);
    }
    let connection = http.connection().await;
    connection.send(b"GET /up HTTP/1.1\r\n").await;
    assert_refused(&trickle(connection, endless_fields()).await);
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn request_line_that_trickles_in_is_ended() {
    let server = or_skip!(impatient().start().await);
    let path = std::iter::repeat(b'x');
    let mut connection = server.connection().await;
    connection.send(b"GET /").await;
    assert_refused(&trickle(&mut connection, path).await);
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn body_that_trickles_in_is_ended_at_the_request_timeout() {
    let server = or_skip!(impatient().start().await);
    let chunks = b"1\r\nx\r\n".iter().copied().cycle();
    let plain = std::iter::repeat_n(b'x', 4000);
    for first_requests in [0, 2] {
        let mut http = server.http();
        for _ in 0..first_requests {
            http.send(&Request::new("GET", "/up"))
                .await
                .expect_status(200);
        }
        let connection = http.connection().await;
        connection
            .send(&publish_head(&server, |request| request))
            .await;
        assert_refused(&trickle(connection, plain.clone()).await);
        let mut connection = server.connection().await;
        connection
            .send(&publish_head(&server, |request| request.chunked(1)))
            .await;
        assert_refused(&trickle(&mut connection, chunks.clone()).await);
    }
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn body_that_never_comes_is_ended_at_the_request_timeout() {
    let server = or_skip!(impatient().start().await);
    let mut connections = Vec::new();
    for expects in [false, true] {
        for _ in 0..20 {
            let mut connection = server.connection().await;
            let head = publish_head(&server, |request| {
                if expects {
                    request.header("Expect", "100-continue")
                } else {
                    request
                }
            });
            connection.send(&head).await;
            connections.push(connection);
        }
    }
    let started = Instant::now();
    for connection in &mut connections {
        let (bytes, _ended) = connection.receive_to_end().await;
        let mut statuses = statuses_of(&bytes);
        statuses.retain(|status| *status != 100);
        assert_refused(&statuses);
    }
    assert_soon(started);
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn slow_clients_hold_nobody_else_up() {
    let server = or_skip!(TestServer::builder().set("server.workers", 1).start().await);
    let mut slow = Vec::new();
    for number in 0..200 {
        let mut connection = server.connection().await;
        match number % 3 {
            0 => connection.send(b"GET /up HTTP/1.1\r\nHost:").await,
            1 => {
                connection
                    .send(&publish_head(&server, |request| request))
                    .await
            }
            _ => connection.send(b"G").await,
        }
        slow.push(connection);
    }
    let started = Instant::now();
    assert_unharmed(&server).await;
    assert_soon(started);
    drop(slow);
    server.finish().await;
}

#[tokio::test]
async fn client_that_asks_on_and_never_reads_is_ended() {
    let server = or_skip!(impatient().start().await);
    let mut connection = server.connection().await;
    let requests = "GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1000);
    let started = Instant::now();
    let ended: Ended = within("the server to have enough", async {
        loop {
            if let Err(ended) = connection.try_send(requests.as_bytes()).await {
                return ended;
            }
        }
    })
    .await;
    assert_eq!(ended, Ended::Reset);
    assert!(started.elapsed() < 2 * SOON);
    assert_unharmed(&server).await;
    server.finish().await;
}
