//! Limits and settings that change under connections.

use protocol_tests::deflate::OFFER;
use protocol_tests::{PublishedEvent, Request, TestServer, WsClient, eventually, or_skip, within};
use serde_json::json;

use crate::support::{expect_delivery, first, subscriber, upgrade};

#[tokio::test]
async fn limits_hold_for_what_comes_from_those_who_are_there() {
    let server = or_skip!(TestServer::builder().app(first()).start().await);
    let (app, channel) = (first().app(), server.channel("private-"));
    let mut client = subscriber(&server, &app, &channel).await;
    let mut other = subscriber(&server, &app, &channel).await;
    let changed = first()
        .limit("max_connections", 2)
        .limit("event_data_bytes", 10)
        .limit("message_bytes", 2000)
        .limit("channels_per_connection", 1)
        .limit("requests_per_second", 100)
        .set("client_events", false);
    server.serve_apps(&[changed]).await;
    let (error, _) = server.open_refused(&upgrade(&app)).await;
    assert_eq!(error.error_code(), Some(4004));
    let event = PublishedEvent::new(&channel, "x", "more than ten bytes");
    let request = Request::post(&app, "/events").json(event.body());
    let answer = server.request(&request).await.expect_status(413);
    assert_eq!(answer.header("x-ratelimit-limit"), Some("100"));
    client.send_subscribe("another", None, None).await;
    client.expect_subscription_error("another").await;
    client
        .send_client_event(&channel, "client-x", json!({}))
        .await;
    client.expect_error(Some(4301)).await;
    server.serve_apps(&[first()]).await;
    client.subscribe("another").await;
    client
        .send_client_event(&channel, "client-x", json!({}))
        .await;
    other.expect_event_on(&channel, "client-x").await;
    let _third = server.connect().await;
    expect_delivery(&server, &app, &channel, &mut other).await;
    server.finish().await;
}

/// A ping with so many bytes of data.
async fn send_large(client: &mut WsClient, bytes: usize) {
    client
        .send_event("pusher:ping", json!("x".repeat(bytes)))
        .await;
}

#[tokio::test]
async fn the_size_of_messages_follows_its_limit_over_connections_that_are_there() {
    let small = || first().limit("message_bytes", 2000);
    let server = or_skip!(TestServer::builder().app(small()).start().await);
    let mut client = server.connect().await;
    let offer = upgrade(server.app()).header("Sec-WebSocket-Extensions", OFFER);
    let mut compressing = server.connect_with(server.app(), &offer).await;
    assert!(compressing.socket.extension().is_some());
    server
        .serve_apps(&[first().limit("message_bytes", 5000)])
        .await;
    for client in [&mut client, &mut compressing] {
        send_large(client, 4000).await;
        client.expect_event("pusher:pong").await;
    }
    server.serve_apps(&[small()]).await;
    for client in [&mut client, &mut compressing] {
        send_large(client, 1000).await;
        client.expect_event("pusher:pong").await;
        send_large(client, 4000).await;
        client.expect_close_code(1009).await;
    }
    server.finish().await;
}

#[tokio::test]
async fn caches_answers_and_rosters_follow_their_limits() {
    let server = or_skip!(TestServer::builder().app(first()).start().await);
    let app = first().app();
    let channel = server.channel("cache-");
    server
        .publish(PublishedEvent::new(&channel, "kept", ""))
        .await;
    let smaller = first()
        .limit("cache_bytes", 1)
        .limit("presence_members", 1)
        .set("subscription_count", true);
    server.serve_apps(&[smaller]).await;
    let mut client = server.connect_to(&app).await;
    client.subscribe(&channel).await;
    let missed = client.next_events(2).await;
    let names: Vec<&str> = missed.iter().map(|event| event.name.as_str()).collect();
    assert!(names.contains(&"pusher:cache_miss"), "{names:?}");
    assert!(
        names.contains(&"pusher_internal:subscription_count"),
        "{names:?}"
    );
    let room = server.channel("presence-");
    client.subscribe_presence(&room, "u1", json!({})).await;
    let mut other = server.connect_to(&app).await;
    let channel_data = json!({"user_id": "u2"}).to_string();
    other
        .send_signed_subscribe(&room, Some(&channel_data))
        .await;
    other.expect_subscription_error(&room).await;
    server.serve_apps(&[first()]).await;
    other.subscribe_presence(&room, "u2", json!({})).await;
    client
        .expect_event_on(&room, "pusher_internal:member_added")
        .await;
    server.finish().await;
}

#[tokio::test]
async fn how_long_a_publish_waits_for_room_follows_its_limit() {
    let server = or_skip!(TestServer::builder().app(first()).start().await);
    let (app, channel) = (first().app(), server.channel("private-"));
    let mut client = subscriber(&server, &app, &channel).await;
    let changed = first()
        .limit("publish_backlog", 1)
        .limit("publish_wait_ms", 10);
    server.serve_apps(&[changed]).await;
    let event = PublishedEvent::new(&channel, "news", "x");
    let publish = Request::post(&app, "/events").json(event.body());
    for _ in 0..20 {
        // Refused where the event before has still not been written everywhere when its wait is over.
        eventually("room for an event", || async {
            let answer = server.request(&publish).await;
            (answer.status != 503).then(|| answer.expect_status(200))
        })
        .await;
        client.expect_event_on(&channel, "news").await;
    }
    within("the pong", client.ping_fence()).await;
    server.finish().await;
}
