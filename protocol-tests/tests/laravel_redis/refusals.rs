//! What is no event does no harm.

use protocol_tests::{RedisServer, or_skip};
use serde_json::json;

use crate::support::{PREFIX, builder, connected, lines, message, refused, relay, taken};

#[tokio::test]
async fn garbage_is_counted_by_reason_and_logged_once() {
    let redis = RedisServer::start().await;
    let server = or_skip!(relay(&redis).await);
    let channel = server.channel("orders.");
    let mut client = server.connect().await;
    client.subscribe(&channel).await;
    let topic = format!("{PREFIX}{channel}");
    let bad_topic = format!("{PREFIX}orders:1");
    let large = json!({"event": "e", "data": {"text": "x".repeat(11_000)}}).to_string();
    let garbage = [
        (&topic, "", "not_json"),
        (&topic, "PONG", "not_json"),
        (&topic, r#"["e",{},null]"#, "not_json"),
        (&topic, r#"{"data":{}}"#, "event_name"),
        (
            &topic,
            r#"{"event":"pusher:error","data":{}}"#,
            "event_name",
        ),
        (&topic, r#"{"event":"e"}"#, "data"),
        (&topic, &large, "too_large"),
        (&bad_topic, r#"{"event":"e","data":{}}"#, "channel_name"),
    ];
    for (topic, message, _) in garbage {
        assert_eq!(redis.publish(topic, message).await, 1);
    }
    redis.publish(&topic, &message("good", 1)).await;
    client.expect_event("good").await;
    for (_, _, reason) in garbage {
        let count = garbage.iter().filter(|(_, _, other)| *other == reason);
        refused(&server, reason, count.count() as f64).await;
    }
    taken(&server, 1.0).await;
    assert_eq!(lines(&server, "a message from Redis is not delivered: "), 1);
    server.finish().await;
}

#[tokio::test]
async fn bytes_that_are_no_text_are_garbage() {
    let redis = RedisServer::start().await;
    let server = or_skip!(relay(&redis).await);
    let channel = server.channel("orders.");
    let mut client = server.connect().await;
    client.subscribe(&channel).await;
    let topic = format!("{PREFIX}{channel}").into_bytes();
    redis
        .publish_bytes(&topic, b"{\"event\":\"e\",\"data\":\"\xff\"}")
        .await;
    redis.publish_bytes(b"laravel_database_\xff", b"{}").await;
    let topic = format!("{PREFIX}{channel}");
    redis.publish(&topic, &message("good", 1)).await;
    client.expect_event("good").await;
    refused(&server, "not_json", 1.0).await;
    refused(&server, "channel_name", 1.0).await;
    server.finish().await;
}

#[tokio::test]
async fn what_nobody_listens_to_is_counted_and_gone() {
    let redis = RedisServer::start().await;
    let server = or_skip!(relay(&redis).await);
    let channel = server.channel("orders.");
    let unsubscribed = format!("{PREFIX}unsubscribed");
    for number in 0..10 {
        redis.publish(&unsubscribed, &message("e", number)).await;
    }
    let mut client = server.connect().await;
    client.subscribe(&channel).await;
    let topic = format!("{PREFIX}{channel}");
    redis.publish(&topic, &message("good", 1)).await;
    client.expect_event("good").await;
    taken(&server, 11.0).await;
    server.finish().await;
}

#[tokio::test]
async fn other_users_of_a_shared_redis_do_no_harm() {
    let redis = RedisServer::start().await;
    let server = or_skip!(builder(&redis.url(), "").start().await);
    connected(&server, true).await;
    let channel = server.channel("orders.");
    let mut client = server.connect().await;
    client.subscribe(&channel).await;
    redis.publish("__keyevent@0__:expired", "session:7").await;
    redis.publish(&channel, &message("good", 1)).await;
    client.expect_event("good").await;
    refused(&server, "channel_name", 1.0).await;
    server.finish().await;
}
