//! Ready is a node that can reach Redis; it says so, and why when it is not.

use protocol_tests::{
    Cluster, PublishedEvent, RedisServer, Request, Response, TestServer, Upgrade, eventually,
    or_skip,
};

use crate::support::{channel_name, figure, finish, nodes, start, subscriber_of_each};

async fn ready(node: &TestServer) -> Response {
    node.request(&Request::new("GET", "/ready")).await
}

/// Waits until a node says that it is not ready, which it must with a reason.
async fn wait_until_unready(node: &TestServer) {
    let answer = eventually("the node not to be ready", || async {
        let answer = ready(node).await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    let answer = answer.expect_status(503).json();
    assert_eq!(answer["ready"], false, "{answer}");
    let reason = answer["reason"].as_str();
    assert!(
        reason.is_some_and(|reason| reason.contains("Redis")),
        "{answer}"
    );
    assert_eq!(figure(node, "connected").await, 0.0);
}

/// Asserts that what is known only in Redis is refused for now.
async fn expect_reads_refused(node: &TestServer) {
    for path in ["/channels", "/channels/a", "/channels/presence-a/users"] {
        let request = Request::get(node.app(), path);
        let answer = node.request(&request).await.expect_status(503);
        assert!(answer.json()["error"].is_string(), "{}", answer.text());
    }
}

async fn expect_reads_answered(node: &TestServer) {
    for path in ["/channels", "/channels/a", "/channels/presence-a/users"] {
        node.get(path, &[]).await;
    }
}

/// Waits until every node is ready, and asserts that all goes well from then on.
async fn expect_well(cluster: &Cluster) {
    cluster.wait_until_ready().await;
    let channel = channel_name("private-");
    let mut clients = subscriber_of_each(cluster, &channel).await;
    for node in cluster.nodes() {
        assert_eq!(figure(node, "connected").await, 1.0);
        expect_reads_answered(node).await;
        node.publish(PublishedEvent::new(&channel, "x", "y")).await;
        for client in &mut clients {
            client.expect_event_on(&channel, "x").await;
        }
    }
}

#[tokio::test]
async fn node_is_not_ready_while_redis_is_away_and_reports_why() {
    let (mut redis, cluster) = or_skip!(start().await);
    expect_well(&cluster).await;
    redis.kill().await;
    for node in cluster.nodes() {
        wait_until_unready(node).await;
        expect_reads_refused(node).await;
    }
    redis.restart().await;
    expect_well(&cluster).await;
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn node_is_not_ready_while_redis_hangs() {
    let (redis, cluster) = or_skip!(start().await);
    redis.pause();
    for node in cluster.nodes() {
        wait_until_unready(node).await;
        expect_reads_refused(node).await;
    }
    redis.resume();
    expect_well(&cluster).await;
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn node_that_starts_without_redis_refuses_everything_until_it_has_reached_it() {
    let mut redis = RedisServer::start().await;
    redis.kill().await;
    let cluster = or_skip!(nodes(&redis).nodes(2).start_without_redis().await);
    for node in cluster.nodes() {
        wait_until_unready(node).await;
        let alive = node.request(&Request::new("GET", "/up")).await;
        alive.expect_status(200);
        let path = format!("/app/{}?protocol=7", node.app().key);
        let refused = node.open(&Upgrade::new(&path)).await;
        assert_eq!(refused.expect_err("it is not ready").status, 503);
        let event = PublishedEvent::new("public-x", "x", "y");
        let publish = Request::post(node.app(), "/events").json(event.body());
        node.request(&publish).await.expect_status(503);
        expect_reads_refused(node).await;
    }
    redis.restart().await;
    expect_well(&cluster).await;
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn new_connections_are_taken_while_redis_is_away() {
    // A page that is loaded again during an outage must not end up without a connection.
    let (mut redis, cluster) = or_skip!(start().await);
    redis.kill().await;
    wait_until_unready(&cluster[0]).await;
    let channel = channel_name("public-");
    let mut client = cluster[0].connect().await;
    client.subscribe(&channel).await;
    cluster[0]
        .publish(PublishedEvent::new(&channel, "x", "y"))
        .await;
    client.expect_event_on(&channel, "x").await;
    redis.restart().await;
    cluster.wait_until_ready().await;
    finish(cluster, &redis).await;
}
