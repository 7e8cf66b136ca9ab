//! Subscription counts, where an app wants them.

use std::time::{Duration, Instant};

use protocol_tests::{AppConfig, Event, PublishedEvent, Skipped, TestServer, WsClient, or_skip};
use serde_json::json;

use crate::support::assert_members;

const COUNT: &str = "pusher_internal:subscription_count";

async fn start() -> Result<TestServer, Skipped> {
    let app = AppConfig::new("10001").set("subscription_count", true);
    TestServer::builder().app(app).start().await
}

async fn expect_count(client: &mut WsClient, channel: &str, count: u64) {
    let event = client.expect_event_on(channel, COUNT).await;
    assert_members(&event, &["event", "channel", "data"]);
    assert_eq!(event.data_json(), json!({"subscription_count": count}));
}

/// Takes counts until this one has come, and returns how many they were.
async fn counts_until(client: &mut WsClient, channel: &str, last: u64) -> u64 {
    let is_last = |event: &Event| {
        assert_eq!(event.name, COUNT, "{}", event.text);
        assert_eq!(event.channel(), channel, "{}", event.text);
        event.data_json()["subscription_count"] == last
    };
    client.events_until(is_last).await.len() as u64 + 1
}

#[tokio::test]
async fn every_subscriber_learns_of_each_change() {
    let server = or_skip!(start().await);
    for prefix in ["public-", "private-", "private-encrypted-"] {
        let channel = server.channel(prefix);
        let mut first = server.connect().await;
        first.subscribe(&channel).await;
        expect_count(&mut first, &channel, 1).await;
        let mut second = server.connect().await;
        second.subscribe(&channel).await;
        expect_count(&mut second, &channel, 2).await;
        expect_count(&mut first, &channel, 2).await;
        // Again changes nothing.
        second.subscribe(&channel).await;
        second.unsubscribe(&channel).await;
        assert!(second.ping_fence().await.is_empty());
        expect_count(&mut first, &channel, 1).await;
        second.subscribe(&channel).await;
        expect_count(&mut second, &channel, 2).await;
        expect_count(&mut first, &channel, 2).await;
        drop(second);
        expect_count(&mut first, &channel, 1).await;
    }
    server.finish().await;
}

#[tokio::test]
async fn cached_event_comes_right_after_success_all_the_same() {
    let server = or_skip!(start().await);
    let channel = server.channel("cache-");
    server
        .publish(PublishedEvent::new(&channel, "kept", "x"))
        .await;
    let mut client = server.connect().await;
    client.subscribe(&channel).await;
    client.expect_event_on(&channel, "kept").await;
    expect_count(&mut client, &channel, 1).await;
    server.finish().await;
}

#[tokio::test]
async fn presence_channels_have_none() {
    let server = or_skip!(start().await);
    for prefix in ["presence-", "presence-cache-"] {
        let channel = server.channel(prefix);
        let mut clients = [server.connect().await, server.connect().await];
        for (number, client) in clients.iter_mut().enumerate() {
            client
                .subscribe_presence(&channel, &format!("u{number}"), json!({}))
                .await;
        }
        for client in &mut clients {
            let seen = client.fence().await;
            assert!(
                !seen
                    .iter()
                    .any(|event| event.name == COUNT && event.channel() == channel),
                "{seen:?}"
            );
        }
    }
    server.finish().await;
}

#[tokio::test]
async fn there_are_none_by_default() {
    let server = TestServer::start().await;
    let channel = server.channel("public-");
    let mut first = server.connect().await;
    first.subscribe(&channel).await;
    let mut second = server.connect().await;
    second.subscribe(&channel).await;
    first.expect_nothing().await;
    second.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn above_100_subscribers_at_most_one_comes_every_5_seconds_and_the_last_one_is_right() {
    let server = or_skip!(start().await);
    let channel = server.channel("public-");
    let mut first = server.connect().await;
    first.subscribe(&channel).await;
    let began = Instant::now();
    let mut others = Vec::new();
    for _ in 0..139 {
        let mut client = server.connect().await;
        client.subscribe(&channel).await;
        others.push(client);
    }
    for count in 1..=100 {
        expect_count(&mut first, &channel, count).await;
    }
    let above = counts_until(&mut first, &channel, 140).await;
    let allowed = began.elapsed().as_secs() / 5 + 2;
    assert!(
        above <= allowed,
        "{above} counts above 100 where {allowed} are allowed"
    );
    // Many changes within one interval are one event.
    let changes = 20;
    let began = Instant::now();
    for client in &mut others[..changes] {
        client.unsubscribe(&channel).await;
        client.ping_fence().await;
    }
    let took = began.elapsed();
    let seen = counts_until(&mut first, &channel, 140 - changes as u64).await;
    let allowed = took.as_secs() / 5 + 2;
    assert!(
        seen <= allowed,
        "{seen} counts for {changes} changes within {took:?}"
    );
    assert!(
        began.elapsed() < Duration::from_secs(15),
        "the last count came late"
    );
    server.finish().await;
}
