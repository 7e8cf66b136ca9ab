//! Redis in trouble.

use protocol_tests::{PublishedEvent, RedisServer, TestServer, eventually, or_skip};

use crate::support::{PREFIX, builder, connected, lines, message, relay};

const LOST: &str = "the connection to Laravel's Redis is lost";
const UNREACHED: &str = "Laravel's Redis cannot be listened to yet";
const LISTENING: &str = "Laravel's events are taken in from Redis";

/// The relay serves whatever becomes of Redis.
async fn serves(server: &TestServer) {
    let channel = server.channel("news.");
    let mut client = server.connect().await;
    client.subscribe(&channel).await;
    server
        .publish(PublishedEvent::new(&channel, "e", "x"))
        .await;
    client.expect_event("e").await;
}

#[tokio::test]
async fn a_redis_that_is_restarted_is_listened_to_again() {
    let mut redis = RedisServer::start().await;
    let server = or_skip!(relay(&redis).await);
    let channel = server.channel("orders.");
    let topic = format!("{PREFIX}{channel}");
    let mut client = server.connect().await;
    client.subscribe(&channel).await;
    redis.publish(&topic, &message("before", 1)).await;
    client.expect_event("before").await;

    redis.kill().await;
    connected(&server, false).await;
    serves(&server).await;

    redis.restart().await;
    connected(&server, true).await;
    redis.publish(&topic, &message("after", 2)).await;
    client.expect_event("after").await;
    let logged = [LOST, UNREACHED, LISTENING].map(|start| lines(&server, start));
    assert_eq!(logged, [1, 0, 2]);
    server.finish().await;
}

#[tokio::test]
async fn a_relay_that_starts_before_redis_serves_and_finds_it() {
    let mut redis = RedisServer::start().await;
    redis.stop().await;
    let server = or_skip!(builder(&redis.url(), PREFIX).start().await);
    eventually("the relay to miss Redis", || async {
        (lines(&server, UNREACHED) > 0).then_some(())
    })
    .await;
    serves(&server).await;
    connected(&server, false).await;

    redis.restart().await;
    connected(&server, true).await;
    let channel = server.channel("orders.");
    let mut client = server.connect().await;
    client.subscribe(&channel).await;
    let topic = format!("{PREFIX}{channel}");
    redis.publish(&topic, &message("e", 1)).await;
    client.expect_event("e").await;
    let logged = [LOST, UNREACHED, LISTENING].map(|start| lines(&server, start));
    assert_eq!(logged, [0, 1, 1]);
    server.finish().await;
}

/// As when a machine loses its power: the connection does not end.
#[tokio::test]
async fn a_redis_that_no_longer_answers_is_known_as_lost() {
    let redis = RedisServer::start().await;
    let server = or_skip!(relay(&redis).await);
    redis.pause();
    connected(&server, false).await;
    serves(&server).await;
    redis.resume();
    connected(&server, true).await;
    server.finish().await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_redis() {
    let redis = RedisServer::start().await;
    let server = or_skip!(relay(&redis).await);
    redis.pause();
    server.finish().await;
}
