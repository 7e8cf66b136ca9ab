//! Several nodes: a session is of one of them, its channels are of all.

use protocol_tests::names::unique;
use protocol_tests::{AppConfig, Cluster, PublishedEvent, RedisServer, or_skip, within};
use serde_json::{Value, json};

use crate::client::{BOTH, FallbackClient, Line, Session, Transport};

async fn members(cluster: &Cluster, node: usize, channel: &str) -> Value {
    let path = format!("/channels/{channel}/users");
    let mut users = cluster[node].get(&path, &[]).await["users"].take();
    let users = users.as_array_mut().expect("a list of users");
    users.sort_by_key(|user| user["id"].to_string());
    users.iter().map(|user| user["id"].clone()).collect()
}

#[tokio::test]
async fn channels_reach_a_session_from_every_node() {
    let redis = RedisServer::start().await;
    let builder = Cluster::builder(redis.url()).app(AppConfig::new("10001"));
    let builder = builder.set("server.fallback_timeout", 10);
    let cluster = or_skip!(builder.nodes(2).start().await);
    for transport in BOTH {
        let channel = unique("presence-");
        let mut socket = cluster[1].connect().await;
        socket.subscribe_presence(&channel, "bob", json!({})).await;
        let mut client = FallbackClient::connect(&cluster[0], transport).await;
        let welcome = client.subscribe(&channel, Some("ann")).await;
        assert_eq!(welcome.data_json()["presence"]["count"], 2, "{transport:?}");
        socket
            .expect_event_on(&channel, "pusher_internal:member_added")
            .await;
        for node in 0..2 {
            assert_eq!(
                members(&cluster, node, &channel).await,
                json!(["ann", "bob"])
            );
            // Not all at once: a page that polls must come for them in time.
            for first in [0, 5, 10, 15] {
                let numbers = first..first + 5;
                for number in numbers.clone() {
                    let data = format!("{number} of {node}");
                    cluster[node]
                        .publish(PublishedEvent::new(&channel, "shipped", data))
                        .await;
                }
                for number in numbers {
                    let event = client.expect_event(&channel, "shipped").await;
                    assert_eq!(event.data_text(), format!("{number} of {node}"));
                    socket.expect_event_on(&channel, "shipped").await;
                }
            }
        }
        client
            .send(&json!({"event": "client-x", "channel": channel, "data": {}}))
            .await;
        socket.expect_event_on(&channel, "client-x").await;
        drop(client);
        socket
            .expect_event_on(&channel, "pusher_internal:member_removed")
            .await;
        for node in 0..2 {
            assert_eq!(members(&cluster, node, &channel).await, json!(["bob"]));
        }
        drop(socket);
    }
    cluster.finish().await;
}

#[tokio::test]
async fn requests_that_reach_another_node_are_refused_with_the_reason_and_harm_nothing() {
    let redis = RedisServer::start().await;
    let builder = Cluster::builder(redis.url()).app(AppConfig::new("10001"));
    let builder = builder.set("server.fallback_timeout", 10);
    let cluster = or_skip!(builder.nodes(2).start().await);
    for transport in BOTH {
        let channel = unique("presence-");
        let mut client = FallbackClient::connect(&cluster[0], transport).await;
        client.subscribe(&channel, Some("ann")).await;
        let mut astray = client.session.clone();
        astray.number += 1000;
        let ping = json!({"event": "pusher:ping", "data": {}}).to_string();
        let answer = cluster[1]
            .request(&astray.send(&json!([ping]).to_string()))
            .await
            .expect_status(404);
        assert!(answer.text().contains("another node"), "{}", answer.text());
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        // What asks for messages there opens a session of that name: to pusher-js, which has one, it is lost.
        let poll = astray.receive(Transport::Polling);
        let answer = cluster[1].request(&poll).await.expect_status(200);
        assert_eq!(Line::all(&answer.text())[0], Line::Open);
        assert!(client.fence().await.is_empty(), "{transport:?}");
        // So it begins anew, wherever that is, while the last session is still there.
        let session = Session::new(cluster.app());
        let app = cluster.app();
        let mut next = FallbackClient::connect_as(&cluster[1], app, transport, session).await;
        let welcome = next.subscribe(&channel, Some("ann")).await;
        assert_eq!(welcome.data_json()["presence"]["ids"], json!(["ann"]));
        drop(client);
        let gone = async {
            // It goes on meanwhile, as a page that polls does.
            while cluster[0].metrics().await.sum("fanfare_connections", &[]) > 0.0 {
                assert!(next.fence().await.is_empty());
            }
        };
        within("the last session to end", gone).await;
        assert_eq!(members(&cluster, 0, &channel).await, json!(["ann"]));
        cluster[0]
            .publish(PublishedEvent::new(&channel, "shipped", "x"))
            .await;
        next.expect_event(&channel, "shipped").await;
    }
    cluster.finish().await;
}
