//! Cache channels: the last event is kept for those who come later.

use protocol_tests::{
    AppConfig, PublishedEvent, Request, TestServer, WsClient, eventually, or_skip,
};
use serde_json::json;

use crate::support::assert_members;

const KINDS: [&str; 4] = [
    "cache-",
    "private-cache-",
    "presence-cache-",
    "private-encrypted-cache-",
];

/// Subscribes to a cache channel of any kind; what comes right after is left to the test.
async fn subscribe(client: &mut WsClient, channel: &str) {
    if channel.starts_with("presence-") {
        let user_id = client.socket_id.clone();
        client
            .subscribe_presence(channel, &user_id, json!({}))
            .await;
    } else {
        client.subscribe(channel).await;
    }
}

async fn expect_cache_miss(client: &mut WsClient, channel: &str) {
    let event = client.expect_event_on(channel, "pusher:cache_miss").await;
    assert!(event.data.is_null() || event.data == "{}", "{}", event.text);
}

/// Subscribes anew and expects the cached event right after success.
async fn expect_cached(server: &TestServer, channel: &str, name: &str, data: &str) {
    let mut client = server.connect().await;
    subscribe(&mut client, channel).await;
    let event = client.expect_event_on(channel, name).await;
    assert_members(&event, &["event", "channel", "data"]);
    assert_eq!(event.data_text(), data);
    client.expect_nothing().await;
}

#[tokio::test]
async fn empty_cache_is_a_cache_miss_right_after_success_for_every_kind() {
    let server = TestServer::start().await;
    for prefix in KINDS {
        let channel = server.channel(prefix);
        let mut client = server.connect().await;
        subscribe(&mut client, &channel).await;
        let event = client.expect_event_on(&channel, "pusher:cache_miss").await;
        assert_members(&event, &["event", "channel"]);
        client.expect_nothing().await;
    }
    server.finish().await;
}

#[tokio::test]
async fn last_event_is_sent_to_each_new_subscriber_right_after_success_for_every_kind() {
    // Sockudo's presence-cache- channels did not work.
    let server = TestServer::start().await;
    for prefix in KINDS {
        let channel = server.channel(prefix);
        let mut first = server.connect().await;
        subscribe(&mut first, &channel).await;
        expect_cache_miss(&mut first, &channel).await;
        for number in ["one", "two"] {
            server
                .publish(PublishedEvent::new(&channel, number, "{ \"ü\": 1 }"))
                .await;
            first.expect_event_on(&channel, number).await;
        }
        let mut late = server.connect().await;
        subscribe(&mut late, &channel).await;
        let event = late.expect_event_on(&channel, "two").await;
        assert_eq!(event.data_text(), "{ \"ü\": 1 }");
        late.expect_nothing().await;
    }
    server.finish().await;
}

#[tokio::test]
async fn event_published_before_anyone_subscribed_is_cached() {
    let server = TestServer::start().await;
    for prefix in KINDS {
        let channel = server.channel(prefix);
        server
            .publish(PublishedEvent::new(&channel, "early", "bird"))
            .await;
        expect_cached(&server, &channel, "early", "bird").await;
    }
    server.finish().await;
}

#[tokio::test]
async fn cached_event_outlives_the_last_subscriber() {
    // Reverb kept it with the channel, which was dropped with its last subscriber.
    let server = TestServer::start().await;
    let channel = server.channel("cache-");
    let mut client = server.connect().await;
    subscribe(&mut client, &channel).await;
    expect_cache_miss(&mut client, &channel).await;
    server
        .publish(PublishedEvent::new(&channel, "kept", "x"))
        .await;
    client.expect_event_on(&channel, "kept").await;
    drop(client);
    server.expect_nothing_left().await;
    for _ in 0..2 {
        expect_cached(&server, &channel, "kept", "x").await;
    }
    server.finish().await;
}

#[tokio::test]
async fn client_events_are_not_cached() {
    // On Reverb they replaced the server's cached event, so that anyone could speak as the server.
    let server = TestServer::start().await;
    for prefix in ["private-cache-", "presence-cache-"] {
        let channel = server.channel(prefix);
        let mut sender = server.connect().await;
        let mut receiver = server.connect().await;
        subscribe(&mut receiver, &channel).await;
        expect_cache_miss(&mut receiver, &channel).await;
        subscribe(&mut sender, &channel).await;
        expect_cache_miss(&mut sender, &channel).await;
        receiver.fence().await;
        sender
            .send_client_event(&channel, "client-x", json!("x"))
            .await;
        receiver.expect_event_on(&channel, "client-x").await;
        let mut late = server.connect().await;
        subscribe(&mut late, &channel).await;
        expect_cache_miss(&mut late, &channel).await;
        server
            .publish(PublishedEvent::new(&channel, "kept", "x"))
            .await;
        sender
            .send_client_event(&channel, "client-y", json!("y"))
            .await;
        sender.ping_fence().await;
        expect_cached(&server, &channel, "kept", "x").await;
    }
    server.finish().await;
}

#[tokio::test]
async fn event_whose_sender_was_excluded_is_cached_for_the_sender_too() {
    let server = TestServer::start().await;
    let channel = server.channel("cache-");
    let mut sender = server.connect().await;
    subscribe(&mut sender, &channel).await;
    expect_cache_miss(&mut sender, &channel).await;
    let event = PublishedEvent::new(&channel, "others", "x").excluding(&sender.socket_id);
    server.publish(event).await;
    sender.expect_nothing().await;
    expect_cached(&server, &channel, "others", "x").await;
    sender.unsubscribe(&channel).await;
    subscribe(&mut sender, &channel).await;
    sender.expect_event_on(&channel, "others").await;
    server.finish().await;
}

#[tokio::test]
async fn one_of_a_batch_and_of_many_channels_is_cached() {
    let server = TestServer::start().await;
    let channels = [server.channel("cache-"), server.channel("private-cache-")];
    let plain = server.channel("plain-");
    let batch = json!({"batch": [
        {"name": "first", "channel": channels[0], "data": "1"},
        {"name": "other", "channel": plain, "data": "2"},
        {"name": "last", "channel": channels[0], "data": "3"},
    ]});
    let request = Request::post(server.app(), "/batch_events").json(&batch);
    server.request(&request).await.expect_status(200);
    expect_cached(&server, &channels[0], "last", "3").await;
    let names = [channels[0].as_str(), plain.as_str(), channels[1].as_str()];
    server
        .publish(PublishedEvent::new("", "to-many", "4").on(&names))
        .await;
    for channel in &channels {
        expect_cached(&server, channel, "to-many", "4").await;
    }
    server.finish().await;
}

#[tokio::test]
async fn cached_event_ends_after_its_configured_time() {
    let app = AppConfig::new("10001").limit("cache_ttl", 1);
    let server = or_skip!(TestServer::builder().app(app).start().await);
    let channel = server.channel("cache-");
    server
        .publish(PublishedEvent::new(&channel, "brief", "x"))
        .await;
    expect_cached(&server, &channel, "brief", "x").await;
    eventually("the cached event to end", || async {
        let mut client = server.connect().await;
        subscribe(&mut client, &channel).await;
        (client.next_event().await.name == "pusher:cache_miss").then_some(())
    })
    .await;
    server.finish().await;
}

#[tokio::test]
async fn least_recently_used_event_goes_first_when_the_cache_is_full() {
    let app = AppConfig::new("10001").limit("cache_bytes", 30_000);
    let server = or_skip!(TestServer::builder().app(app).start().await);
    let channels: Vec<String> = (0..5).map(|_| server.channel("cache-")).collect();
    for channel in &channels {
        let data = "x".repeat(10_000);
        server
            .publish(PublishedEvent::new(channel, "large", data))
            .await;
    }
    let mut client = server.connect().await;
    for channel in &channels[..2] {
        subscribe(&mut client, channel).await;
        expect_cache_miss(&mut client, channel).await;
    }
    subscribe(&mut client, &channels[4]).await;
    client.expect_event_on(&channels[4], "large").await;
    server.finish().await;
}

#[tokio::test]
async fn plain_channels_keep_nothing() {
    let server = TestServer::start().await;
    for prefix in ["public-", "private-"] {
        let channel = server.channel(prefix);
        server
            .publish(PublishedEvent::new(&channel, "gone", "x"))
            .await;
        let mut client = server.connect().await;
        client.subscribe(&channel).await;
        client.expect_nothing().await;
    }
    server.finish().await;
}

#[tokio::test]
async fn event_that_races_with_a_subscription_arrives_once() {
    let server = TestServer::start().await;
    for round in 0..50 {
        let channel = server.channel("cache-");
        let mut client = server.connect().await;
        let event = PublishedEvent::new(&channel, "racing", round);
        tokio::join!(server.publish(event), client.subscribe(&channel));
        let mut names: Vec<String> = Vec::new();
        for event in client.fence().await {
            names.push(event.name);
        }
        let fits = names == ["racing"] || names == ["pusher:cache_miss", "racing"];
        assert!(fits, "{names:?}");
    }
    server.finish().await;
}
