//! Several relays that listen to the same Redis.

use protocol_tests::cluster::wait_until_ready;
use protocol_tests::{PublishedEvent, RedisServer, or_skip};
use serde_json::json;

use crate::support::{LaravelEvent, PREFIX, builder, connected, message, relay};

#[tokio::test]
async fn each_client_of_two_relays_gets_each_event_once() {
    let redis = RedisServer::start().await;
    let first = or_skip!(relay(&redis).await);
    let second = or_skip!(relay(&redis).await);
    let channel = first.channel("orders.");
    let mut clients = [first.connect().await, second.connect().await];
    for client in &mut clients {
        client.subscribe(&channel).await;
    }
    let topic = format!("{PREFIX}{channel}");
    for number in 0..10 {
        let listeners = redis.publish(&topic, &message("e", number)).await;
        assert_eq!(listeners, 2);
    }
    // Excluded on the one, it is still another's event on the other.
    let event = LaravelEvent::new("to-others", &[("public", &channel)], json!({}));
    let event = event.requested_by(&clients[0].socket_id).excluding_sender();
    event.broadcast(&redis).await;
    redis.publish(&topic, &message("last", 0)).await;
    for client in &mut clients {
        for number in 0..10 {
            let event = client.expect_event("e").await;
            assert_eq!(event.data_json(), json!({"number": number}));
        }
    }
    clients[1].expect_event("to-others").await;
    for client in &mut clients {
        client.expect_event("last").await;
    }
    first.finish().await;
    second.finish().await;
}

#[tokio::test]
async fn a_node_for_publishes_alone_does_not_listen() {
    let redis = RedisServer::start().await;
    let api = builder(&redis.url(), PREFIX)
        .set("server.role", "api")
        .set("cluster.driver", "redis")
        .set("cluster.url", redis.url());
    let api = or_skip!(api.start().await);
    let relay = or_skip!(relay(&redis).await);
    let channel = relay.channel("orders.");
    let topic = format!("{PREFIX}{channel}");
    let mut client = relay.connect().await;
    client.subscribe(&channel).await;
    assert_eq!(redis.publish(&topic, &message("e", 1)).await, 1);
    client.expect_event("e").await;
    connected(&api, false).await;
    api.finish().await;
    relay.finish().await;
}

#[tokio::test]
async fn what_nodes_send_each_other_is_not_taken_for_laravel_s() {
    let redis = RedisServer::start().await;
    let node = || {
        builder(&redis.url(), "")
            .set("cluster.driver", "redis")
            .set("cluster.url", redis.url())
    };
    let first = or_skip!(node().start().await);
    let second = or_skip!(node().start().await);
    let channel = first.channel("orders.");
    let mut clients = Vec::new();
    for server in [&first, &second] {
        connected(server, true).await;
        wait_until_ready(server).await;
        let mut client = server.connect().await;
        client.subscribe(&channel).await;
        clients.push(client);
    }
    let event = PublishedEvent::new(&channel, "over-http", "x");
    first.publish(event).await;
    for client in &mut clients {
        client.expect_event_on(&channel, "over-http").await;
    }
    redis.publish(&channel, &message("laravel-s", 1)).await;
    for client in &mut clients {
        client.expect_event_on(&channel, "laravel-s").await;
    }
    drop(clients);
    for server in [&first, &second] {
        let refused = server.metrics().await;
        assert_eq!(refused.sum("fanfare_ingest_refused_total", &[]), 0.0);
    }
    first.finish().await;
    second.finish().await;
}
