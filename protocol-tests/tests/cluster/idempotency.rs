//! Idempotency keys: one publish that two nodes are asked for is one publish.

use protocol_tests::names::unique;
use protocol_tests::{PublishedEvent, Request};
use serde_json::json;

use crate::support::{channel_name, expect_nothing, finish, start, subscriber_of_each};

#[tokio::test]
async fn key_used_on_two_nodes_at_the_same_moment_delivers_once_and_is_answered_alike() {
    let Some((redis, cluster)) = start().await else {
        return;
    };
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
    let Some((redis, cluster)) = start().await else {
        return;
    };
    let channel = channel_name("public-");
    let mut clients = subscriber_of_each(&cluster, &channel).await;
    let batch = json!([
        {"channel": channel, "name": "x", "data": "1", "info": "subscription_count"},
        {"channel": channel, "name": "x", "data": "2"},
    ]);
    let body = json!({"batch": batch, "idempotency_key": unique("k-")});
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
