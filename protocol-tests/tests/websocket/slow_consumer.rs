//! A client that does not read is closed within its outbox's limit, and nobody else notices.

use protocol_tests::{AppConfig, Event, Frame, Opcode, PublishedEvent, Request, Skipped, or_skip};
use protocol_tests::{Close, TestServer, WsClient, eventually, within};
use serde_json::json;

const OUTBOX: usize = 256 * 1024;
/// What the kernel may hold of a connection on both sides, generously.
const KERNEL: usize = 12 << 20;
const DATA: usize = 10_000;

/// A server with a small outbox that waits this many seconds for a closed client to take what it was sent.
async fn start(close_timeout: i64) -> Result<TestServer, Skipped> {
    let app = AppConfig::new("10001").limit("outbox_bytes", OUTBOX as i64);
    TestServer::builder()
        .app(app)
        .set("server.close_timeout", close_timeout)
        .set("server.workers", 2)
        .start()
        .await
}

async fn subscribers(server: &TestServer, channel: &str) -> [WsClient; 3] {
    let mut clients = [
        server.connect().await,
        server.connect().await,
        server.connect().await,
    ];
    for client in &mut clients {
        client.subscribe(channel).await;
    }
    clients
}

/// Publishes more than a stalled client may be kept, each event read by the healthy clients.
async fn publish_too_much(server: &TestServer, channel: &str, healthy: &mut [WsClient]) {
    let mut http = server.http();
    for number in 0..(OUTBOX + KERNEL) / DATA {
        let data = format!("{number}:{}", "x".repeat(DATA));
        let event = PublishedEvent::new(channel, "large", data.as_str());
        let request = Request::post(server.app(), "/events").json(event.body());
        http.send(&request).await.expect_status(200);
        for client in &mut *healthy {
            let event = client.expect_event_on(channel, "large").await;
            assert_eq!(event.data_text(), data);
        }
    }
    for client in healthy {
        client.expect_nothing().await;
    }
}

/// Reads what a stalled client was sent: events in order and without a gap, then the close. Returns how many events.
async fn read_to_close(client: &mut WsClient, channel: &str) -> (usize, Close) {
    let mut received = 0;
    within("the close of a stalled client", async {
        loop {
            let frame: Frame = match client.socket.next().await {
                Ok(frame) => frame,
                Err(ended) => panic!("no close frame after {received} events: {ended}"),
            };
            if frame.opcode == Opcode::CLOSE {
                return (received, Close::parse(&frame.payload));
            }
            let event = Event::parse(frame.as_text());
            if event.name == "pusher:error" {
                assert_eq!(event.error_code(), Some(4100), "{}", event.text);
                continue;
            }
            assert_eq!(event.channel(), channel);
            let is_next = event.data_text().starts_with(&format!("{received}:"));
            assert!(is_next, "a gap at {received}");
            received += 1;
        }
    })
    .await
}

#[tokio::test]
async fn stalled_client_is_closed_with_4100_within_its_limit_while_others_lose_nothing() {
    // None of soketi, Sockudo (by default) and Reverb ever dropped one.
    let server = or_skip!(start(60).await);
    let channel = server.channel("busy-");
    let mut stalled = subscribers(&server, &channel).await;
    let mut healthy = subscribers(&server, &channel).await;
    publish_too_much(&server, &channel, &mut healthy).await;
    for client in &mut stalled {
        let (received, close) = read_to_close(client, &channel).await;
        assert!(
            received * DATA < OUTBOX + KERNEL - DATA,
            "{received} events were kept"
        );
        assert_eq!(close.code, Some(4100), "{close:?}");
        assert!(!close.reason.is_empty());
    }
    server.finish().await;
}

#[tokio::test]
async fn stalled_client_that_never_takes_its_close_is_dropped() {
    let server = or_skip!(start(1).await);
    let channel = server.channel("busy-");
    let stalled = subscribers(&server, &channel).await;
    let mut healthy = subscribers(&server, &channel).await;
    publish_too_much(&server, &channel, &mut healthy).await;
    eventually("the stalled clients to be dropped", || async {
        let left = server.metrics().await.sum("fanfare_connections", &[]);
        (left == healthy.len() as f64).then_some(())
    })
    .await;
    drop(stalled);
    server.finish().await;
}

#[tokio::test]
async fn client_that_falls_behind_within_its_limit_loses_nothing() {
    let server = TestServer::start().await;
    let channel = server.channel("busy-");
    let mut client = server.connect().await;
    client.subscribe(&channel).await;
    // Less than the default outbox of 1 MiB.
    let count = 80;
    for number in 0..count {
        let data = format!("{number}:{}", "x".repeat(DATA));
        server
            .publish(PublishedEvent::new(&channel, "large", data))
            .await;
    }
    for number in 0..count {
        let event = client.expect_event_on(&channel, "large").await;
        let is_next = event.data_text().starts_with(&format!("{number}:"));
        assert!(is_next, "a gap at {number}");
    }
    client.send_event("pusher:ping", json!({})).await;
    client.expect_event("pusher:pong").await;
    server.finish().await;
}
