//! Several nodes: each reads its own file.

use protocol_tests::{Cluster, PublishedEvent, RedisServer, or_skip};
use serde_json::json;

use crate::support::{expect_closed, first, second};

#[tokio::test]
async fn an_app_that_is_added_at_every_node_is_one_relay() {
    let redis = RedisServer::start().await;
    let cluster = or_skip!(
        Cluster::builder(redis.url())
            .app(first())
            .nodes(2)
            .start()
            .await
    );
    for node in cluster.nodes() {
        node.serve_apps(&[first(), second()]).await;
    }
    let (app, room) = (second().app(), cluster[0].channel("presence-"));
    let mut here = cluster[0].connect_to(&app).await;
    here.subscribe_presence(&room, "u1", json!({})).await;
    let mut there = cluster[1].connect_to(&app).await;
    let roster = there.subscribe_presence(&room, "u2", json!({})).await;
    assert_eq!(roster.ids, ["u1", "u2"]);
    here.expect_event_on(&room, "pusher_internal:member_added")
        .await;
    cluster[0]
        .publish_to(&app, PublishedEvent::new(&room, "x", ""))
        .await;
    here.expect_event_on(&room, "x").await;
    there.expect_event_on(&room, "x").await;
    cluster.finish().await;
}

#[tokio::test]
async fn an_app_that_is_removed_and_made_again_knows_the_members_of_the_other_node() {
    let redis = RedisServer::start().await;
    let builder = Cluster::builder(redis.url()).app(first()).app(second());
    let cluster = or_skip!(builder.nodes(2).start().await);
    let (app, room) = (second().app(), cluster[0].channel("presence-"));
    let mut there = cluster[1].connect_to(&app).await;
    there.subscribe_presence(&room, "u0", json!({})).await;
    for round in 1..=5 {
        let user = format!("u{round}");
        let mut here = cluster[0].connect_to(&app).await;
        let roster = here.subscribe_presence(&room, &user, json!({})).await;
        assert_eq!(roster.ids, ["u0", &*user]);
        let came = there
            .expect_event_on(&room, "pusher_internal:member_added")
            .await;
        assert!(came.text.contains(&user), "{}", came.text);
        cluster[0].serve_apps(&[first()]).await;
        expect_closed(&mut here, 4001).await;
        let went = there
            .expect_event_on(&room, "pusher_internal:member_removed")
            .await;
        assert!(went.text.contains(&user), "{}", went.text);
        cluster[0].serve_apps(&[first(), second()]).await;
    }
    cluster.finish().await;
}

#[tokio::test]
async fn a_removed_app_is_made_again_while_its_connections_still_leave() {
    let redis = RedisServer::start().await;
    let builder = Cluster::builder(redis.url()).app(first()).app(second());
    let cluster = or_skip!(builder.nodes(2).start().await);
    let (app, room) = (second().app(), cluster[0].channel("presence-"));
    let mut there = cluster[1].connect_to(&app).await;
    there.subscribe_presence(&room, "u0", json!({})).await;
    let mut crowd = Vec::new();
    for number in 0..20 {
        let mut client = cluster[0].connect_to(&app).await;
        let user = format!("before-{number}");
        client.subscribe_presence(&room, &user, json!({})).await;
        crowd.push(client);
    }
    cluster[0].serve_apps(&[first()]).await;
    // At once, before those of before can have left.
    cluster[0].serve_apps(&[first(), second()]).await;
    let mut anew = cluster[0].connect_to(&app).await;
    anew.subscribe_presence(&room, "after", json!({})).await;
    drop(crowd);
    let members = || async {
        let path = format!("/channels/{room}/users");
        let request = protocol_tests::Request::get(&app, &path);
        let answer = cluster[1].request(&request).await.expect_status(200).json();
        answer["users"].as_array().unwrap().len()
    };
    protocol_tests::eventually("those of before to be gone", || async {
        (members().await == 2).then_some(())
    })
    .await;
    cluster[1]
        .publish_to(&app, PublishedEvent::new(&room, "x", ""))
        .await;
    anew.wait_for_event("x").await;
    there.wait_for_event("x").await;
    cluster.finish().await;
}
