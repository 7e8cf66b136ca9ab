//! What takes its time, and what takes too long.

use protocol_tests::{Skipped, TestServer, or_skip};
use serde_json::json;

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
