//! What takes its time, and what takes too long.

use std::time::Duration;

use protocol_tests::{AppConfig, Signal, Skipped, TestServer, or_skip};
use serde_json::json;
use tokio::time::sleep;

use crate::client::{BOTH, FallbackClient, Line, Transport, start};

async fn impatient() -> Result<TestServer, Skipped> {
    let builder = TestServer::builder()
        .set("server.activity_timeout", 1)
        .set("server.pong_timeout", 4);
    builder.start().await
}

#[tokio::test]
async fn a_quiet_page_that_answers_heartbeats_stays() {
    let server = or_skip!(impatient().await);
    let mut client = FallbackClient::connect(&server, Transport::Streaming).await;
    for _ in 0..4 {
        assert_eq!(client.next_line().await, Line::Heartbeat);
        client.send_body("[]").await.expect_status(204);
    }
    assert!(client.fence().await.is_empty());
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn a_page_that_answers_no_heartbeat_is_closed() {
    let server = or_skip!(impatient().await);
    let mut client = FallbackClient::connect(&server, Transport::Streaming).await;
    client.answers_heartbeats = false;
    let (code, reason) = client.expect_close().await;
    assert_eq!(code, 4201, "{reason}");
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn a_heartbeat_that_is_no_answer_is_answered() {
    let server = or_skip!(start().await);
    let mut client = FallbackClient::connect(&server, Transport::Streaming).await;
    for _ in 0..3 {
        client.send_body("[]").await.expect_status(204);
        assert_eq!(client.next_line().await, Line::Heartbeat);
        // As pusher-js does; this one is an answer.
        client.send_body("[]").await.expect_status(204);
        assert!(client.fence().await.is_empty());
    }
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn requests_that_carry_a_connection_outlast_the_time_of_others() {
    let builder = TestServer::builder()
        .set("server.request_timeout", 2)
        .set("server.request_head_timeout", 2)
        .set("server.keep_alive", 2)
        .set("server.activity_timeout", 6);
    let server = or_skip!(builder.start().await);
    for transport in BOTH {
        let channel = server.channel("presence-");
        let mut client = FallbackClient::connect(&server, transport).await;
        client.subscribe(&channel, Some("ann")).await;
        // Which takes three times as long as any request may.
        assert_eq!(client.next_line().await, Line::Heartbeat, "{transport:?}");
        // On a connection of its own: the last one has idled for too long.
        let ping = json!({"event": "pusher:ping", "data": {}}).to_string();
        let request = client.session.send(&json!([ping]).to_string());
        server.request(&request).await.expect_status(204);
        assert_eq!(client.next_event().await.name, "pusher:pong");
    }
    server.finish().await;
}

/// A page that has just been asked whether it is there, and has answered that before.
async fn asked(server: &TestServer, transport: Transport) -> FallbackClient<'_> {
    let mut client = FallbackClient::connect(server, transport).await;
    assert_eq!(client.next_line().await, Line::Heartbeat);
    client.send_body("[]").await.expect_status(204);
    assert_eq!(client.next_line().await, Line::Heartbeat);
    client
}

#[tokio::test]
async fn requests_that_wait_while_the_server_is_frozen_count() {
    /// Seconds: long enough for a busy machine to get so far that the server is frozen.
    const PATIENCE: u32 = 6;
    let builder = TestServer::builder()
        .set("server.activity_timeout", 1)
        .set("server.pong_timeout", PATIENCE)
        .set("server.fallback_timeout", PATIENCE)
        .set("server.request_head_timeout", 60);
    let server = or_skip!(builder.start().await);
    let [stream, poll] = BOTH;
    let clients = tokio::join!(
        asked(&server, stream),
        asked(&server, stream),
        asked(&server, poll),
        asked(&server, poll),
    );
    let mut clients: [FallbackClient; 4] = clients.into();
    server.signal(Signal::Stop);
    for (number, client) in clients.iter_mut().enumerate() {
        if number % 2 == 1 {
            client.disconnect();
        }
        client.show_itself().await;
    }
    // The freeze itself is what is tested: longer than a page may be silent, and than it may be without a request.
    sleep(Duration::from_secs(u64::from(PATIENCE)) + Duration::from_millis(2500)).await;
    server.signal(Signal::Continue);
    for client in &mut clients {
        client.is_noticed().await;
    }
    for client in &mut clients {
        assert!(client.fence().await.is_empty(), "{:?}", client.transport);
    }
    drop(clients);
    server.finish().await;
}

#[tokio::test]
async fn proof_that_waits_while_the_server_is_frozen_counts() {
    /// Seconds: long enough for a busy machine to get so far that the server is frozen.
    const TIMEOUT: u32 = 5;
    let app = AppConfig::new("10001").set("authorized_connections_timeout", i64::from(TIMEOUT));
    let builder = TestServer::builder()
        .app(app)
        .set("server.fallback_timeout", 20)
        .set("server.request_head_timeout", 60);
    let server = or_skip!(builder.start().await);
    let channel = server.channel("private-");
    let mut clients = Vec::new();
    for transport in BOTH {
        clients.push(FallbackClient::connect(&server, transport).await);
    }
    server.signal(Signal::Stop);
    for client in &mut clients {
        let auth = client.app.channel_auth(&client.socket_id, &channel, None);
        let data = json!({"channel": channel, "auth": auth});
        let subscribe = json!({"event": "pusher:subscribe", "data": data}).to_string();
        client.send_unread(&json!([subscribe]).to_string()).await;
    }
    // The freeze itself is what is tested: longer than the timeout.
    sleep(Duration::from_secs(u64::from(TIMEOUT)) + Duration::from_millis(1500)).await;
    server.signal(Signal::Continue);
    for client in &mut clients {
        client.read_sent().await;
        let subscribed = "pusher_internal:subscription_succeeded";
        client.expect_event(&channel, subscribed).await;
        // One that goes while it polls is soon taken for gone.
        client.show_itself().await;
    }
    drop(clients);
    server.finish().await;
}
