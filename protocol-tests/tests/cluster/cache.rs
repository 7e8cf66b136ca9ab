//! Cache channels: what one node was sent last, another one knows.

use protocol_tests::{PublishedEvent, TestServer, eventually, or_skip};
use serde_json::json;

use crate::support::{
    app, channel, channel_name, expect_nothing, finish, nodes, start, subscribe, subscriber_of_each,
};

const KINDS: [&str; 4] = [
    "cache-",
    "private-cache-",
    "presence-cache-",
    "private-encrypted-cache-",
];

/// Subscribes anew and expects this event right after success, and nothing else.
async fn expect_cached(node: &TestServer, channel: &str, name: &str, data: &str) {
    let mut client = node.connect().await;
    if channel.starts_with("presence-") {
        client.subscribe_presence(channel, "u", json!({})).await;
    } else {
        client.subscribe(channel).await;
    }
    let event = client.expect_event_on(channel, name).await;
    assert_eq!(event.data_text(), data);
    client.expect_nothing().await;
}

#[tokio::test]
async fn last_event_of_any_node_is_what_a_later_subscriber_of_any_other_gets() {
    let (redis, cluster) = or_skip!(start().await);
    for kind in KINDS {
        let channel = channel_name(kind);
        for (number, node) in cluster.nodes().enumerate() {
            let name = format!("kept-{number}");
            let data = "{ \"é\": 1 }";
            node.publish(PublishedEvent::new(&channel, &name, data))
                .await;
            for reader in cluster.nodes() {
                expect_cached(reader, &channel, &name, data).await;
            }
        }
    }
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn last_event_is_known_to_the_http_api_of_every_node() {
    let (redis, cluster) = or_skip!(start().await);
    let name = channel_name("private-cache-");
    for node in cluster.nodes() {
        let answer = channel(node, &name, "cache").await;
        assert_eq!(answer, json!({"occupied": false, "cache": null}));
    }
    let data = "{\"a\": \"é \\u00e9 😀\"}\n\0";
    cluster[0]
        .publish(PublishedEvent::new(&name, "x", data))
        .await;
    for node in cluster.nodes() {
        let answer = channel(node, &name, "cache").await;
        assert_eq!(answer["cache"]["data"], data);
        let ttl = answer["cache"]["ttl"].as_u64();
        let fits = ttl.is_some_and(|ttl| (1700..=1800).contains(&ttl));
        assert!(fits, "{answer}");
    }
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn empty_cache_is_a_miss_on_every_node() {
    let (redis, cluster) = or_skip!(start().await);
    for kind in KINDS {
        let channel = channel_name(kind);
        // Each of them expects the miss.
        let mut clients = subscriber_of_each(&cluster, &channel).await;
        expect_nothing(&cluster, &mut clients).await;
    }
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn last_event_ends_on_every_node_with_its_ttl() {
    let redis = protocol_tests::RedisServer::start().await;
    let builder = protocol_tests::Cluster::builder(redis.url());
    let builder = builder.app(app().limit("cache_ttl", 1)).nodes(2);
    let cluster = or_skip!(builder.start().await);
    let name = channel_name("cache-");
    cluster[0]
        .publish(PublishedEvent::new(&name, "brief", "x"))
        .await;
    for node in cluster.nodes() {
        eventually("the cached event to end", || async {
            let mut client = node.connect().await;
            client.subscribe(&name).await;
            (client.next_event().await.name == "pusher:cache_miss").then_some(())
        })
        .await;
        assert!(channel(node, &name, "cache").await["cache"].is_null());
    }
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn event_that_races_with_a_subscription_on_another_node_arrives_once() {
    let redis = protocol_tests::RedisServer::start().await;
    let cluster = or_skip!(nodes(&redis).nodes(2).start().await);
    for round in 0..30 {
        let channel = channel_name("cache-");
        let mut client = cluster[1].connect().await;
        let event = PublishedEvent::new(&channel, "racing", round);
        tokio::join!(cluster[0].publish(event), client.subscribe(&channel));
        let seen = cluster.fence(&mut client).await;
        let names: Vec<&str> = seen.iter().map(|event| event.name.as_str()).collect();
        let fits = names == ["racing"] || names == ["pusher:cache_miss", "racing"];
        assert!(fits, "{names:?}");
    }
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn client_events_are_not_kept() {
    let (redis, cluster) = or_skip!(start().await);
    let channel = channel_name("private-cache-");
    let mut clients = subscriber_of_each(&cluster, &channel).await;
    clients[0]
        .send_client_event(&channel, "client-x", json!("y"))
        .await;
    for client in &mut clients[1..] {
        client.expect_event_on(&channel, "client-x").await;
    }
    let mut late = cluster[2].connect().await;
    subscribe(&mut late, &channel).await;
    finish(cluster, &redis).await;
}
