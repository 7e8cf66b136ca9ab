//! Whose channels they are, and what stands before their names.

use protocol_tests::{AppConfig, RedisServer, or_skip};
use serde_json::json;

use crate::support::{LaravelEvent, PREFIX, builder, connected, message, relay};

#[tokio::test]
async fn other_prefixes_are_other_applications() {
    let redis = RedisServer::start().await;
    let server = or_skip!(relay(&redis).await);
    let channel = server.channel("orders.");
    let mut client = server.connect().await;
    client.subscribe(&channel).await;
    let event = |name| LaravelEvent::new(name, &[("public", &channel)], json!({}));
    event("others")
        .prefix("shop_database_")
        .broadcast(&redis)
        .await;
    event("ours").broadcast(&redis).await;
    client.expect_event("ours").await;
    server.finish().await;
}

#[tokio::test]
async fn laravel_may_have_no_prefix() {
    let redis = RedisServer::start().await;
    let server = or_skip!(builder(&redis.url(), "").start().await);
    connected(&server, true).await;
    let channel = server.channel("orders.");
    let mut client = server.connect().await;
    client.subscribe(&channel).await;
    let event = LaravelEvent::new("e", &[("public", &channel)], json!({}));
    event.prefix("").broadcast(&redis).await;
    client.expect_event_on(&channel, "e").await;
    server.finish().await;
}

#[tokio::test]
async fn a_prefix_stands_for_itself_and_is_no_pattern() {
    let redis = RedisServer::start().await;
    let prefix = r"[a-z]*\?_";
    let server = or_skip!(builder(&redis.url(), prefix).start().await);
    connected(&server, true).await;
    let channel = server.channel("orders.");
    let mut client = server.connect().await;
    client.subscribe(&channel).await;
    let topic = format!("{prefix}{channel}");
    assert_eq!(redis.publish(&topic, &message("ours", 1)).await, 1);
    let matched_as_a_pattern = format!(r"xyz?_{channel}");
    let listeners = redis.publish(&matched_as_a_pattern, &message("e", 2)).await;
    assert_eq!(listeners, 0);
    client.expect_event_on(&channel, "ours").await;
    server.finish().await;
}

#[tokio::test]
async fn events_are_those_of_the_app_that_is_named() {
    let redis = RedisServer::start().await;
    let builder = builder(&redis.url(), PREFIX).set("ingest.laravel_redis.app", "20002");
    let apps = builder
        .app(AppConfig::new("10001"))
        .app(AppConfig::new("20002"));
    let server = or_skip!(apps.start().await);
    connected(&server, true).await;
    let channel = server.channel("orders.");
    let mut others = server.connect().await;
    let mut ours = server.connect_to(server.second_app()).await;
    others.subscribe(&channel).await;
    ours.subscribe(&channel).await;
    let topic = format!("{PREFIX}{channel}");
    redis.publish(&topic, &message("e", 1)).await;
    ours.expect_event_on(&channel, "e").await;
    others.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn the_app_s_limits_hold() {
    let redis = RedisServer::start().await;
    let app = AppConfig::new("10001").limit("event_data_bytes", 20_000);
    let server = or_skip!(builder(&redis.url(), PREFIX).app(app).start().await);
    connected(&server, true).await;
    let channel = server.channel("orders.");
    let mut client = server.connect().await;
    client.subscribe(&channel).await;
    let text = |length| "x".repeat(length);
    let message = |length| json!({"event": "e", "data": text(length)}).to_string();
    let topic = format!("{PREFIX}{channel}");
    for length in [20_001, 20_000] {
        redis.publish(&topic, &message(length)).await;
    }
    assert_eq!(client.expect_event("e").await.data_text().len(), 20_000);
    crate::support::refused(&server, "too_large", 1.0).await;
    server.finish().await;
}

#[tokio::test]
async fn with_several_apps_one_must_be_named() {
    let builder = builder("redis://127.0.0.1:1/0", PREFIX);
    let apps = builder
        .app(AppConfig::new("10001"))
        .app(AppConfig::new("20002"));
    let exit = or_skip!(apps.start_and_exit().await);
    assert_ne!(exit.code, Some(0));
    let log = exit.log.join("\n");
    assert!(
        log.contains(
            "ingest.laravel_redis.app: missing; expected the id of one of the apps: 10001, 20002"
        ),
        "{log}"
    );
}
