//! A client that does not read is closed within its outbox's limit, and nobody else notices.

use protocol_tests::{
    AppConfig, Event, Frame, Opcode, PublishedEvent, Request, TestServer, within,
};
use protocol_tests::{Close, WsClient};
use serde_json::json;

const OUTBOX: usize = 256 * 1024;
/// What the kernel may hold of a connection on both sides, generously.
const KERNEL: usize = 16 << 20;
const DATA: usize = 10_000;

#[tokio::test]
async fn stalled_client_is_closed_with_4100_within_its_limit_while_others_lose_nothing() {
    // None of soketi, Sockudo (by default) and Reverb ever dropped one.
    let app = AppConfig::new("10001").limit("outbox_bytes", OUTBOX as i64);
    let builder = TestServer::builder().app(app).set("server.workers", 2);
    let Some(server) = builder.start().await else {
        return;
    };
    let channel = server.channel("busy-");
    let mut stalled = Vec::new();
    let mut healthy = Vec::new();
    for _ in 0..3 {
        let mut client = server.connect().await;
        client.subscribe(&channel).await;
        stalled.push(client);
        let mut client = server.connect().await;
        client.subscribe(&channel).await;
        healthy.push(client);
    }
    let published = publish_until_stalled_are_gone(&server, &channel, &mut healthy).await;
    assert!(
        published * DATA < OUTBOX + KERNEL,
        "{published} events were kept for a stalled client"
    );
    for client in &mut healthy {
        client.expect_nothing().await;
    }
    for client in &mut stalled {
        let (received, close) = read_to_close(client, &channel).await;
        assert!(received <= published);
        assert_eq!(close.code, Some(4100), "{close:?}");
        assert!(!close.reason.is_empty());
    }
    server.finish().await;
}

/// Publishes numbered events, each read by the healthy clients, until the server counts nobody else; returns how many.
async fn publish_until_stalled_are_gone(
    server: &TestServer,
    channel: &str,
    healthy: &mut [WsClient],
) -> usize {
    let mut http = server.http();
    let mut number = 0;
    loop {
        let data = format!("{number}:{}", "x".repeat(DATA));
        let event = PublishedEvent::new(channel, "large", data.as_str());
        let request = Request::post(server.app(), "/events").json(event.body());
        http.send(&request).await.expect_status(200);
        for client in &mut *healthy {
            assert_eq!(
                client.expect_event_on(channel, "large").await.data_text(),
                data
            );
        }
        number += 1;
        let connections = server.metrics().await.sum("fanfare_connections", &[]);
        if connections == healthy.len() as f64 {
            return number;
        }
        assert!(
            number * DATA < 4 * (OUTBOX + KERNEL),
            "the stalled clients are never closed"
        );
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
            assert_eq!(event.channel(), channel);
            assert!(
                event.data_text().starts_with(&format!("{received}:")),
                "a gap at {received}"
            );
            received += 1;
        }
    })
    .await
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
        assert!(
            event.data_text().starts_with(&format!("{number}:")),
            "a gap at {number}"
        );
    }
    client.send_event("pusher:ping", json!({})).await;
    client.expect_event("pusher:pong").await;
    server.finish().await;
}
