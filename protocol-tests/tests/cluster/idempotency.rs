//! Idempotency keys: one publish that two nodes are asked for is one publish.

use protocol_tests::names::unique;
use protocol_tests::{
    App, PublishedEvent, RedisServer, Request, TcpProxy, TestServer, eventually, or_skip,
};
use serde_json::json;

use crate::support::{
    channel_name, expect_nothing, figure, finish, nodes, start, subscriber_of_each,
};

#[tokio::test]
async fn key_used_on_two_nodes_at_the_same_moment_delivers_once_and_is_answered_alike() {
    let (redis, cluster) = or_skip!(start().await);
    let channel = channel_name("public-");
    let mut clients = subscriber_of_each(&cluster, &channel).await;
    for round in 0..30 {
        let event = PublishedEvent::new(&channel, "once", round).info("subscription_count");
        let event = event.with("idempotency_key", unique("k-").into());
        let request = Request::post(cluster.app(), "/events").json(event.body());
        let (one, other, again) = tokio::join!(
            cluster[0].request(&request),
            cluster[1].request(&request),
            cluster[0].request(&request),
        );
        let answers = [one, other, again].map(|answer| answer.expect_status(200));
        let replays = answers
            .iter()
            .filter(|answer| answer.header("idempotency-replayed") == Some("true"));
        assert_eq!(replays.count(), 2, "{answers:#?}");
        for answer in &answers {
            assert_eq!(answer.text(), answers[0].text());
        }
        for client in &mut clients {
            let event = client.expect_event_on(&channel, "once").await;
            assert_eq!(event.data_text(), round.to_string());
        }
    }
    expect_nothing(&cluster, &mut clients).await;
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn later_use_of_a_key_on_another_node_is_answered_again_and_not_delivered() {
    let (redis, cluster) = or_skip!(start().await);
    let channel = channel_name("public-");
    let mut clients = subscriber_of_each(&cluster, &channel).await;
    let batch = json!([
        {"channel": channel, "name": "x", "data": "1", "info": "subscription_count"},
        {"channel": channel, "name": "x", "data": "2"},
    ]);
    let key = unique("k-");
    let body = json!({"batch": batch, "idempotency_key": key});
    let request = Request::post(cluster.app(), "/batch_events").json(&body);
    let first = cluster[2].request(&request).await.expect_status(200);
    assert_eq!(first.header("idempotency-replayed"), None);
    let expected = json!({"batch": [{"subscription_count": 3}, {}]});
    assert_eq!(first.json(), expected);
    let _left = clients.pop();
    for node in cluster.nodes() {
        let again = node.request(&request).await.expect_status(200);
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        assert_eq!(again.text(), first.text());
        let other = json!({"batch": [batch[1]], "idempotency_key": key});
        let other = Request::post(cluster.app(), "/batch_events").json(&other);
        node.request(&other).await.expect_status(422);
    }
    for client in &mut clients {
        for number in ["1", "2"] {
            let event = client.expect_event_on(&channel, "x").await;
            assert_eq!(event.data_text(), number);
        }
    }
    expect_nothing(&cluster, &mut clients).await;
    finish(cluster, &redis).await;
}

fn keyed(app: &App, channel: &str, key: &str) -> Request {
    let event = PublishedEvent::new(channel, "keyed", key).with("idempotency_key", key.into());
    Request::post(app, "/events").json(event.body())
}

#[tokio::test]
async fn keyed_publish_is_refused_while_redis_is_away_and_delivered_once_afterwards() {
    let (mut redis, cluster) = or_skip!(start().await);
    let channel = channel_name("public-");
    let mut clients = subscriber_of_each(&cluster, &channel).await;
    redis.kill().await;
    for node in cluster.nodes() {
        eventually("the node to know that Redis is away", || async {
            (figure(node, "connected").await == 0.0).then_some(())
        })
        .await;
    }
    let request = keyed(cluster.app(), &channel, &unique("k-"));
    let refusal = cluster[0].request(&request).await.expect_status(503);
    assert!(refusal.header("retry-after").is_some(), "{refusal:?}");
    assert!(refusal.text().contains("same key"), "{}", refusal.text());
    cluster[0]
        .publish(PublishedEvent::new(&channel, "without-key", ""))
        .await;
    clients[0].expect_event_on(&channel, "without-key").await;

    redis.restart().await;
    cluster.wait_until_ready().await;
    for client in &mut clients[1..] {
        client.expect_event_on(&channel, "without-key").await;
    }
    for node in cluster.nodes() {
        node.request(&request).await.expect_status(200);
    }
    for client in &mut clients {
        client.expect_event_on(&channel, "keyed").await;
    }
    expect_nothing(&cluster, &mut clients).await;
    finish(cluster, &redis).await;
}

/// Sends requests until each is answered with 200.
async fn until_done(node: &TestServer, requests: &[Request]) {
    for request in requests {
        eventually("the publish to be done", || async {
            (node.request(request).await.status == 200).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn keys_used_while_the_link_breaks_are_settled_and_delivered_once() {
    const ROUNDS: usize = 10;
    const AT_ONCE: usize = 10;
    let redis = RedisServer::start().await;
    let proxy = TcpProxy::start(&[redis.authority()]).await;
    let mut cluster = or_skip!(nodes(&redis).nodes(2).start().await);
    cluster
        .add_at(&format!("redis://{}/0", proxy.authority()))
        .await;
    cluster.wait_until_ready().await;
    let channel = channel_name("public-");
    let mut clients = subscriber_of_each(&cluster, &channel).await;
    let mut sent = Vec::new();
    for _ in 0..ROUNDS {
        let requests: Vec<Request> = (0..AT_ONCE)
            .map(|_| keyed(cluster.app(), &channel, &unique("k-")))
            .collect();
        let node = &cluster[2];
        let publishing = async {
            for request in &requests {
                node.request(request).await;
            }
        };
        let cutting = async {
            tokio::task::yield_now().await;
            node.metrics().await;
            proxy.close_connections();
        };
        tokio::join!(publishing, cutting);
        // Whatever it was answered: the backend asks another node.
        until_done(&cluster[0], &requests).await;
        sent.extend(requests);
    }
    cluster.wait_until_ready().await;
    for client in &mut clients {
        let mut seen = Vec::new();
        for event in client.next_events(sent.len()).await {
            seen.push(event.data_text().to_owned());
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), sent.len(), "some were delivered twice");
    }
    expect_nothing(&cluster, &mut clients).await;
    finish(cluster, &redis).await;
}
