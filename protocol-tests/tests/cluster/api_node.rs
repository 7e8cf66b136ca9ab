//! A node whose `server.role` is `api`: it takes publishes and no WebSockets.

use protocol_tests::cluster::wait_until_ready;
use protocol_tests::{Cluster, PublishedEvent, RedisServer, Skipped, TestServer, Upgrade, or_skip};
use serde_json::json;

use crate::support::{app, channel_name, finish, nodes};

/// A node that takes publishes alone, and one that has subscribers.
async fn start() -> Result<(RedisServer, Cluster, TestServer), Skipped> {
    let redis = RedisServer::start().await;
    let cluster = nodes(&redis).nodes(1).start().await?;
    let api = TestServer::builder()
        .app(app())
        .set("server.role", "api")
        .set("cluster.driver", "redis")
        .set("cluster.url", redis.url())
        .start()
        .await?;
    wait_until_ready(&api).await;
    Ok((redis, cluster, api))
}

#[tokio::test]
async fn websockets_are_refused_with_a_status_that_explains_why() {
    let (redis, cluster, server) = or_skip!(start().await);
    let path = format!("/app/{}?protocol=7", server.app().key);
    for _ in 0..2 {
        let refused = server.open(&Upgrade::new(&path)).await;
        let response = refused.expect_err("the node takes no WebSockets");
        assert_eq!(response.status, 421);
        assert!(
            response.text().contains("server.role"),
            "{}",
            response.text()
        );
    }
    let metrics = server.metrics().await;
    let name = "fanfare_connections_refused_total";
    assert_eq!(metrics.sum(name, &[("reason", "role")]), 2.0);
    server.finish().await;
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn what_it_takes_reaches_the_subscribers_of_other_nodes() {
    let (redis, cluster, server) = or_skip!(start().await);
    let channel = channel_name("public-");
    let mut client = cluster[0].connect().await;
    client.subscribe(&channel).await;
    let event = PublishedEvent::new(&channel, "e", "x");
    let answer = server.publish(event).await;
    assert_eq!(answer, json!({}));
    client.expect_event_on(&channel, "e").await;
    let channels = server.get("/channels", &[]).await;
    assert_eq!(channels, json!({"channels": { channel: {} }}));
    drop(client);
    server.finish().await;
    finish(cluster, &redis).await;
}
