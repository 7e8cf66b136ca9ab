//! The clock of Redis is set back: nothing lasts for as long as it went back.

use std::time::Duration;

use protocol_tests::cluster::NODE_TIMEOUT;
use protocol_tests::{AppConfig, Cluster, PublishedEvent, Receiver, RedisServer, Request, or_skip};
use serde_json::json;
use tokio::time::Instant;

use crate::roster::{Member, users_of};
use crate::support::{app, channel_name, finish, member, nodes};

/// Seconds that the clock is ahead, and goes back.
const STEP: u32 = 3600;

#[tokio::test]
async fn node_that_died_before_the_step_is_noticed() {
    let redis = RedisServer::start_ahead(STEP).await;
    let mut cluster = or_skip!(nodes(&redis).start().await);
    let channel = channel_name("presence-");
    let mut ann = Member::of(&cluster[0], &channel, "ann").await;
    let bob = Member::of(&cluster[1], &channel, "bob").await;
    ann.until(&users_of(["ann", "bob"].map(str::to_owned)))
        .await;
    let died = Instant::now();
    cluster.kill(1).await;
    redis.set_clock_ahead(0);
    ann.until(&users_of(["ann".to_owned()])).await;
    let took = died.elapsed();
    assert!(
        took < Duration::from_secs(u64::from(NODE_TIMEOUT) + 15),
        "it took {took:?}"
    );
    drop(bob);
    drop(ann);
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn nodes_that_are_alive_stay_so_and_events_go_on() {
    let redis = RedisServer::start_ahead(STEP).await;
    let cluster = or_skip!(nodes(&redis).nodes(2).start().await);
    let channel = channel_name("presence-");
    let mut ann = Member::of(&cluster[0], &channel, "ann").await;
    let mut bob = Member::of(&cluster[1], &channel, "bob").await;
    let both = users_of(["ann", "bob"].map(str::to_owned));
    ann.until(&both).await;
    redis.set_clock_ahead(0);
    let before = Instant::now();
    // For longer than it takes to give a node up.
    while before.elapsed() < Duration::from_secs(u64::from(NODE_TIMEOUT) + 1) {
        for node in cluster.nodes() {
            node.publish(PublishedEvent::new(&channel, "x", "y")).await;
            for client in [&mut ann.client, &mut bob.client] {
                client.expect_event_on(&channel, "x").await;
            }
        }
    }
    assert_eq!(ann.believed, both);
    drop((ann, bob));
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn departure_that_waits_is_reported() {
    const EVENTS: [&str; 2] = ["channel_vacated", "member_removed"];
    let mut receiver = Receiver::start(&[&AppConfig::new("10001").app()]).await;
    receiver.expect_several_senders();
    let redis = RedisServer::start_ahead(STEP).await;
    let builder = Cluster::builder(redis.url())
        .app(app().webhook(receiver.webhook(&EVENTS)))
        .set("webhooks.leave_delay_ms", 3000);
    let cluster = or_skip!(builder.nodes(2).start().await);
    let channel = channel_name("presence-");
    let ann = member(&cluster[0], &channel, "ann").await;
    drop(ann);
    crate::support::wait_for_channel(&cluster, &channel, "", &json!({"occupied": false})).await;
    redis.set_clock_ahead(0);
    for _ in EVENTS {
        let event = receiver.next_event_on(&channel).await;
        assert!(EVENTS.contains(&event.json["name"].as_str().unwrap_or_default()));
    }
    receiver.expect_nothing_more();
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn idempotency_key_is_not_remembered_for_longer() {
    let redis = RedisServer::start_ahead(STEP).await;
    let cluster = or_skip!(nodes(&redis).nodes(2).start().await);
    let event = PublishedEvent::new("public-x", "x", "y").with("idempotency_key", json!("k"));
    cluster[0].publish(event.clone()).await;
    redis.set_clock_ahead(0);
    let again = Request::post(cluster.app(), "/events").json(event.body());
    cluster[1].request(&again).await.expect_status(200);
    let key = redis.keys("fanfare:key:").await;
    let left: i64 = redis.command(redis::cmd("PTTL").arg(&key[0])).await;
    assert!(left <= 120_000, "it is remembered for {left} ms");
    finish(cluster, &redis).await;
}
