//! `info` of a publish: attributes of its channels in the answer.

use protocol_tests::{PublishedEvent, TestServer};
use serde_json::json;

use crate::support::{batch, expect_refused, publish, subscriber};

#[tokio::test]
async fn publish_answers_with_the_attributes_that_it_asks_for() {
    let server = TestServer::start().await;
    let (mut client, channel) = subscriber(&server, "public-").await;
    let presence = server.channel("presence-");
    client.subscribe_presence(&presence, "u1", json!({})).await;
    let mut second_tab = server.connect().await;
    second_tab
        .subscribe_presence(&presence, "u1", json!({}))
        .await;
    let event = |channel: &str| PublishedEvent::new(channel, "x", "y");
    let answer = server
        .publish(event(&channel).info("subscription_count"))
        .await;
    assert_eq!(
        answer,
        json!({"channels": {&channel: {"subscription_count": 1}}})
    );
    let answer = server.publish(event(&presence).info("user_count")).await;
    assert_eq!(answer, json!({"channels": {&presence: {"user_count": 1}}}));
    // Connections, not users.
    let answer = server
        .publish(event(&presence).info("subscription_count,user_count"))
        .await;
    let both = json!({"subscription_count": 2, "user_count": 1});
    assert_eq!(answer, json!({"channels": {&presence: both}}));
    server.finish().await;
}

#[tokio::test]
async fn cache_is_the_event_that_was_just_published() {
    let server = TestServer::start().await;
    let channel = server.channel("cache-");
    for data in ["first", "second \"quoted\" é\n"] {
        let answer = server
            .publish(PublishedEvent::new(&channel, "x", data).info("cache"))
            .await;
        let cache = &answer["channels"][&channel]["cache"];
        assert_eq!(cache["data"], data);
        let ttl = cache["ttl"].as_u64().expect("ttl is a number of seconds");
        assert!((1700..=1800).contains(&ttl), "{ttl}");
    }
    server.finish().await;
}

#[tokio::test]
async fn attributes_that_do_not_apply_are_left_out_for_that_channel() {
    let server = TestServer::start().await;
    let public = server.channel("public-");
    let presence = server.channel("presence-");
    let cache = server.channel("cache-");
    let event = PublishedEvent::new("", "x", "y")
        .on(&[&public, &presence, &cache])
        .info("user_count,subscription_count,cache");
    let answer = server.publish(event).await;
    let channels = &answer["channels"];
    assert_eq!(channels.as_object().map(|channels| channels.len()), Some(3));
    assert_eq!(channels[&public], json!({"subscription_count": 0}));
    assert_eq!(
        channels[&presence],
        json!({"subscription_count": 0, "user_count": 0})
    );
    let cached = channels[&cache].as_object().expect("it is an object");
    let mut attributes: Vec<&str> = cached.keys().map(String::as_str).collect();
    attributes.sort_unstable();
    assert_eq!(attributes, ["cache", "subscription_count"]);
    for (channel, info) in [
        (&public, "user_count"),
        (&public, "cache"),
        (&presence, "cache"),
        (&cache, "user_count"),
    ] {
        let answer = server
            .publish(PublishedEvent::new(channel, "x", "").info(info))
            .await;
        assert_eq!(answer, json!({"channels": {channel: {}}}), "{info}");
    }
    server.finish().await;
}

#[tokio::test]
async fn attributes_apply_by_the_exact_prefix() {
    let server = TestServer::start().await;
    let everything = "user_count,subscription_count,cache";
    for (prefix, attributes) in [
        ("private-", vec!["subscription_count"]),
        ("private-encrypted-", vec!["subscription_count"]),
        ("private-cache-", vec!["cache", "subscription_count"]),
        (
            "private-encrypted-cache-",
            vec!["cache", "subscription_count"],
        ),
        (
            "presence-cache-",
            vec!["cache", "subscription_count", "user_count"],
        ),
        ("presence", vec!["subscription_count"]),
        ("cache", vec!["subscription_count"]),
        ("cachefoo-", vec!["subscription_count"]),
        ("private-foo-cache-", vec!["subscription_count"]),
    ] {
        let channel = server.channel(prefix);
        let event = PublishedEvent::new(&channel, "x", "").info(everything);
        let answer = server.publish(event).await;
        let shown = answer["channels"][&channel]
            .as_object()
            .expect("it is an object");
        let mut shown: Vec<&str> = shown.keys().map(String::as_str).collect();
        shown.sort_unstable();
        assert_eq!(shown, attributes, "{channel}");
    }
    server.finish().await;
}

#[tokio::test]
async fn unknown_attributes_are_400_naming_info() {
    let server = TestServer::start().await;
    let (mut client, channel) = subscriber(&server, "public-").await;
    for info in [
        "nonsense",
        "users",
        "subscription_count,nonsense",
        "User_Count",
        "user_count;subscription_count",
        "user_count subscription_count",
        "occupied",
        "\0",
    ] {
        let event = PublishedEvent::new(&channel, "x", "").info(info);
        expect_refused(&server, &publish(server.app(), &event), 400, "info").await;
        expect_refused(&server, &batch(server.app(), &[event]), 400, "info").await;
    }
    client.expect_nothing().await;
    server.finish().await;
}
