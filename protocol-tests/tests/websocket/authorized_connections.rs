//! Authorized connections: those that prove nothing in time are closed, where an app wants that.

use std::time::Duration;

use protocol_tests::{AppConfig, Signal, Skipped, TestServer, WsClient, or_skip};
use serde_json::json;
use tokio::time::sleep;

/// Seconds.
const TIMEOUT: u64 = 3;

async fn start() -> Result<TestServer, Skipped> {
    let app = AppConfig::new("10001").set("authorized_connections_timeout", TIMEOUT as i64);
    TestServer::builder().app(app).start().await
}

/// Waits until a connection made after all others has been closed: the others' time is then over too.
async fn let_time_pass(server: &TestServer) {
    server.connect().await.expect_close_code(4009).await;
}

#[tokio::test]
async fn connection_that_proves_nothing_in_time_is_closed_with_4009() {
    let server = or_skip!(start().await);
    let mut silent = server.connect().await;
    let mut public = server.connect().await;
    public.subscribe(&server.channel("public-")).await;
    let mut refused = server.connect().await;
    let channel = server.channel("private-");
    refused.send_subscribe(&channel, Some("a:b"), None).await;
    refused.expect_subscription_error(&channel).await;
    for client in [&mut silent, &mut public, &mut refused] {
        client.expect_close_code(4009).await;
    }
    server.finish().await;
}

#[tokio::test]
async fn signing_in_or_subscribing_to_an_authorised_channel_is_proof() {
    let server = or_skip!(start().await);
    let mut clients: Vec<WsClient> = Vec::new();
    for _ in 0..3 {
        clients.push(server.connect().await);
    }
    clients[0].sign_in("u1").await;
    clients[1].subscribe(&server.channel("private-")).await;
    let presence = server.channel("presence-");
    clients[2]
        .subscribe_presence(&presence, "u1", json!({}))
        .await;
    let_time_pass(&server).await;
    for client in &mut clients {
        client.expect_nothing().await;
    }
    server.finish().await;
}

#[tokio::test]
async fn proof_that_waits_while_the_server_is_frozen_counts() {
    let server = or_skip!(start().await);
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(server.connect().await);
    }
    server.signal(Signal::Stop);
    let channel = server.channel("private-");
    for client in &mut clients {
        client.send_signed_subscribe(&channel, None).await;
    }
    // The freeze itself is what is tested: longer than the timeout.
    sleep(Duration::from_millis(TIMEOUT * 1000 + 500)).await;
    server.signal(Signal::Continue);
    for client in &mut clients {
        client.expect_subscribed(&channel).await;
    }
    server.finish().await;
}

#[tokio::test]
async fn proof_holds_after_the_subscription_has_ended() {
    let server = or_skip!(start().await);
    let channel = server.channel("private-");
    let mut client = server.connect().await;
    client.subscribe(&channel).await;
    client.unsubscribe(&channel).await;
    let_time_pass(&server).await;
    client.expect_nothing().await;
    server.finish().await;
}
