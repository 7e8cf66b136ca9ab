//! Who gets what.

use protocol_tests::{PublishedEvent, RedisServer, or_skip};
use serde_json::json;

use crate::support::{PREFIX, connected, message, relay, taken};

#[tokio::test]
async fn a_private_channel_keeps_its_authorisation() {
    let redis = RedisServer::start().await;
    let server = or_skip!(relay(&redis).await);
    let channel = server.channel("private-orders.");
    let (mut stranger, mut member) = (server.connect().await, server.connect().await);
    stranger.send_subscribe(&channel, Some("key:0"), None).await;
    stranger.expect_subscription_error(&channel).await;
    member.subscribe(&channel).await;
    let public = server.channel("news.");
    stranger.subscribe(&public).await;
    let (secret, news) = (format!("{PREFIX}{channel}"), format!("{PREFIX}{public}"));
    redis.publish(&secret, &message("secret", 1)).await;
    redis.publish(&news, &message("news", 1)).await;
    member.expect_event_on(&channel, "secret").await;
    stranger.expect_event_on(&public, "news").await;
    server.finish().await;
}

#[tokio::test]
async fn events_keep_their_order_whatever_their_channels() {
    const COUNT: usize = 5000;
    let redis = RedisServer::start().await;
    let server = or_skip!(relay(&redis).await);
    let channels = [server.channel("a."), server.channel("b.")];
    let topics = channels
        .each_ref()
        .map(|channel| format!("{PREFIX}{channel}"));
    let mut client = server.connect().await;
    for channel in &channels {
        client.subscribe(channel).await;
    }
    let messages: Vec<String> = (0..COUNT).map(|number| message("e", number)).collect();
    let publications: Vec<(&str, &str)> = messages
        .iter()
        .enumerate()
        .map(|(number, message)| (topics[number % 2].as_str(), message.as_str()))
        .collect();
    let published = redis.publish_all(&publications);
    let received = async {
        for number in 0..COUNT {
            let event = client.expect_event_on(&channels[number % 2], "e").await;
            assert_eq!(event.data_json(), json!({"number": number}));
        }
    };
    let (listeners, ()) = tokio::join!(published, received);
    assert_eq!(listeners, COUNT as u64);
    taken(&server, COUNT as f64).await;
    server.finish().await;
}

#[tokio::test]
async fn a_cache_channel_keeps_the_last_event() {
    let redis = RedisServer::start().await;
    let server = or_skip!(relay(&redis).await);
    let channel = server.channel("cache-prices.");
    let mut early = server.connect().await;
    early.subscribe(&channel).await;
    early.expect_event("pusher:cache_miss").await;
    let topic = format!("{PREFIX}{channel}");
    redis.publish(&topic, &message("price", 1)).await;
    early.expect_event("price").await;
    let mut late = server.connect().await;
    late.subscribe(&channel).await;
    let event = late.expect_event_on(&channel, "price").await;
    assert_eq!(event.data_json(), json!({"number": 1}));
    server.finish().await;
}

#[tokio::test]
async fn the_http_api_goes_on_beside_it() {
    let redis = RedisServer::start().await;
    let server = or_skip!(relay(&redis).await);
    let channel = server.channel("orders.");
    let mut client = server.connect().await;
    client.subscribe(&channel).await;
    server
        .publish(PublishedEvent::new(&channel, "over-http", "x"))
        .await;
    client.expect_event("over-http").await;
    let topic = format!("{PREFIX}{channel}");
    redis.publish(&topic, &message("over-redis", 1)).await;
    client.expect_event("over-redis").await;
    connected(&server, true).await;
    server.finish().await;
}
