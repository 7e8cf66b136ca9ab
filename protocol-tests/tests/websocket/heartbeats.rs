//! Heartbeats: who is asked for a sign of life, and when.

use std::time::{Duration, Instant};

use protocol_tests::{Close, Frame, Opcode, PublishedEvent, TestServer, WsClient};
use serde_json::json;
use tokio::time::sleep;

const ACTIVITY_TIMEOUT: Duration = Duration::from_secs(1);
/// Timers may be coarse; a ping may come this much early.
const TOLERANCE: Duration = Duration::from_millis(150);

async fn start(pong_timeout: i64) -> Option<TestServer> {
    TestServer::builder()
        .set("server.activity_timeout", 1)
        .set("server.pong_timeout", pong_timeout)
        .start()
        .await
}

async fn expect_ping(client: &mut WsClient) {
    client.expect_event("pusher:ping").await;
}

async fn pong(client: &mut WsClient) {
    client.send_event("pusher:pong", json!({})).await;
}

#[tokio::test]
async fn idle_client_is_pinged_after_the_activity_timeout() {
    let Some(server) = start(30).await else {
        return;
    };
    let began = Instant::now();
    let mut client = server.connect().await;
    assert_eq!(client.activity_timeout, 1);
    expect_ping(&mut client).await;
    assert!(
        began.elapsed() >= ACTIVITY_TIMEOUT - TOLERANCE,
        "{:?}",
        began.elapsed()
    );
    server.finish().await;
}

#[tokio::test]
async fn client_that_does_not_answer_is_closed_with_4201() {
    // Soketi dropped it without a code.
    let Some(server) = start(1).await else {
        return;
    };
    let mut client = server.connect().await;
    client.subscribe(&server.channel("public-")).await;
    expect_ping(&mut client).await;
    let pinged = Instant::now();
    let close: Close = client.expect_close_code(4201).await;
    assert!(
        pinged.elapsed() >= Duration::from_secs(1) - TOLERANCE,
        "{close:?} after {:?}",
        pinged.elapsed()
    );
    server.finish().await;
}

#[tokio::test]
async fn socket_that_never_subscribed_is_treated_the_same() {
    // Reverb neither pinged nor reaped it.
    let Some(server) = start(1).await else {
        return;
    };
    let mut client = server.connect().await;
    expect_ping(&mut client).await;
    client.expect_close_code(4201).await;
    server.finish().await;
}

#[tokio::test]
async fn client_that_answers_stays() {
    // Soketi closed it with 4201 all the same.
    let Some(server) = start(1).await else {
        return;
    };
    let mut client = server.connect().await;
    client.subscribe(&server.channel("public-")).await;
    for _ in 0..4 {
        expect_ping(&mut client).await;
        pong(&mut client).await;
    }
    client.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn anything_received_is_an_answer() {
    let Some(server) = start(1).await else {
        return;
    };
    let mut client = server.connect().await;
    for answer in [
        Frame::new(Opcode::PONG, []),
        Frame::text(r#"{"event":"pusher:unsubscribe","data":{"channel":"x"}}"#),
        Frame::text(r#"{"event":"pusher:pong","data":"{}"}"#),
    ] {
        expect_ping(&mut client).await;
        client.socket.send(answer).await;
    }
    expect_ping(&mut client).await;
    server.finish().await;
}

#[tokio::test]
async fn anything_received_counts_as_activity() {
    let Some(server) = start(1).await else {
        return;
    };
    let mut client = server.connect().await;
    let unsubscribe = r#"{"event":"pusher:unsubscribe","data":{"channel":"x"}}"#;
    let activities = [
        Frame::text(unsubscribe),
        Frame::new(Opcode::PONG, []),
        Frame::text("{").unfinished(),
        Frame::new(Opcode::CONTINUATION, unsubscribe.as_bytes()[1..].to_vec()),
    ];
    // Not waiting for anything: being active now and then is what is tested.
    let began = Instant::now();
    for activity in activities.iter().cycle().take(12) {
        sleep(ACTIVITY_TIMEOUT / 5).await;
        client.socket.send(activity.clone()).await;
    }
    assert!(began.elapsed() > 2 * ACTIVITY_TIMEOUT);
    let seen = client.ping_fence().await;
    assert!(
        seen.is_empty(),
        "an active client was asked for a sign of life: {seen:?}"
    );
    server.finish().await;
}

#[tokio::test]
async fn receiving_is_not_activity() {
    let Some(server) = start(30).await else {
        return;
    };
    let channel = server.channel("public-");
    let mut client = server.connect().await;
    client.subscribe(&channel).await;
    let deadline = Instant::now() + 20 * ACTIVITY_TIMEOUT;
    loop {
        server.publish(PublishedEvent::new(&channel, "x", "")).await;
        if client.next_event().await.name == "pusher:ping" {
            break;
        }
        assert!(Instant::now() < deadline, "never asked for a sign of life");
        sleep(ACTIVITY_TIMEOUT / 20).await;
    }
    server.finish().await;
}

#[tokio::test]
async fn member_that_is_closed_has_left() {
    let Some(server) = start(1).await else {
        return;
    };
    let channel = server.channel("presence-");
    let mut watcher = server.connect().await;
    watcher
        .subscribe_presence(&channel, "watcher", json!({}))
        .await;
    let mut silent = server.connect().await;
    silent
        .subscribe_presence(&channel, "silent", json!({}))
        .await;
    watcher.expect_event("pusher_internal:member_added").await;
    let deadline = Instant::now() + 20 * ACTIVITY_TIMEOUT;
    loop {
        assert!(Instant::now() < deadline, "the silent member never left");
        let event = watcher.next_event().await;
        if event.name == "pusher_internal:member_removed" {
            assert_eq!(event.data_json(), json!({"user_id": "silent"}));
            break;
        }
        assert_eq!(event.name, "pusher:ping", "{}", event.text);
        pong(&mut watcher).await;
    }
    silent.expect_close_code(4201).await;
    server.finish().await;
}
