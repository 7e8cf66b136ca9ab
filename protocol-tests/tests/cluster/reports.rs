//! Webhooks: what happens in the cluster is reported once, whichever nodes it happens on.

use protocol_tests::cluster::wait_until_ready;
use protocol_tests::{
    AppConfig, Cluster, Receiver, RedisServer, Skipped, WebhookEvent, eventually, or_skip,
};
use serde_json::{Value, json};

use crate::support::{
    app, channel_name, finish, member, subscribe, subscriber_of_each, wait_for_channel,
};

const EVENTS: [&str; 4] = [
    "channel_occupied",
    "channel_vacated",
    "member_added",
    "member_removed",
];

fn occupied(channel: &str) -> Value {
    json!({"name": "channel_occupied", "channel": channel})
}

fn vacated(channel: &str) -> Value {
    json!({"name": "channel_vacated", "channel": channel})
}

fn added(channel: &str, user_id: &str) -> Value {
    json!({"name": "member_added", "channel": channel, "user_id": user_id})
}

fn removed(channel: &str, user_id: &str) -> Value {
    json!({"name": "member_removed", "channel": channel, "user_id": user_id})
}

/// Three nodes that report to a receiver, departures after this many milliseconds.
async fn start(leave_delay_ms: i64) -> Result<(Receiver, RedisServer, Cluster), Skipped> {
    start_with(leave_delay_ms, 3).await
}

/// So many nodes.
async fn start_with(
    leave_delay_ms: i64,
    count: usize,
) -> Result<(Receiver, RedisServer, Cluster), Skipped> {
    let receiver = Receiver::start(&[&AppConfig::new("10001").app()]).await;
    receiver.expect_several_senders();
    let redis = RedisServer::start().await;
    let cluster = Cluster::builder(redis.url())
        .app(app().webhook(receiver.webhook(&EVENTS)))
        .set("webhooks.leave_delay_ms", leave_delay_ms)
        // Whoever is only to be there reads nothing, and answers no pings.
        .set("server.activity_timeout", 600)
        .nodes(count)
        .start()
        .await?;
    Ok((receiver, redis, cluster))
}

/// Takes the next events on the channel, which must be these in any order: several nodes may send them.
async fn expect_events(receiver: &mut Receiver, channel: &str, expected: &[Value]) {
    let mut left = expected.to_vec();
    while !left.is_empty() {
        let event: WebhookEvent = receiver.next_event_on(channel).await;
        let position = left.iter().position(|expected| *expected == event.json);
        let position = position.unwrap_or_else(|| panic!("{event:?} instead of {left:#?}"));
        left.remove(position);
    }
}

/// Waits until all that has happened so far was reported, whatever waits in its delay too: what is left now is vacated
/// after everything that was left before.
async fn settle(cluster: &Cluster, receiver: &mut Receiver) {
    let mut left = Vec::new();
    for node in cluster.nodes() {
        let channel = channel_name("settled-");
        let mut client = node.connect().await;
        subscribe(&mut client, &channel).await;
        expect_events(receiver, &channel, &[occupied(&channel)]).await;
        left.push(channel);
    }
    for channel in left {
        expect_events(receiver, &channel, &[vacated(&channel)]).await;
    }
}

#[tokio::test]
async fn channel_is_occupied_with_the_first_node_and_vacated_with_the_last() {
    let (mut receiver, redis, cluster) = or_skip!(start(50).await);
    let channel = channel_name("public-");
    let mut clients = subscriber_of_each(&cluster, &channel).await;
    expect_events(&mut receiver, &channel, &[occupied(&channel)]).await;
    while let Some(client) = clients.pop() {
        receiver.expect_nothing_more_on(&channel);
        drop(client);
        let left = json!({"occupied": !clients.is_empty(), "subscription_count": clients.len()});
        wait_for_channel(&cluster, &channel, "subscription_count", &left).await;
    }
    expect_events(&mut receiver, &channel, &[vacated(&channel)]).await;
    settle(&cluster, &mut receiver).await;
    receiver.expect_nothing_more();
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn member_is_added_with_the_first_tab_and_removed_with_the_last() {
    let (mut receiver, redis, cluster) = or_skip!(start(50).await);
    let channel = channel_name("presence-");
    let mut tabs = Vec::new();
    for node in cluster.nodes() {
        tabs.push(member(node, &channel, "ann").await);
    }
    let come = [occupied(&channel), added(&channel, "ann")];
    expect_events(&mut receiver, &channel, &come).await;
    drop(tabs);
    let go = [removed(&channel, "ann"), vacated(&channel)];
    expect_events(&mut receiver, &channel, &go).await;
    settle(&cluster, &mut receiver).await;
    receiver.expect_nothing_more();
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn return_to_another_node_within_the_delay_is_no_departure() {
    let (mut receiver, redis, cluster) = or_skip!(start(10_000).await);
    let channel = channel_name("presence-");
    let mut page = member(&cluster[0], &channel, "ann").await;
    let come = [occupied(&channel), added(&channel, "ann")];
    expect_events(&mut receiver, &channel, &come).await;
    for node in [1, 2, 0, 1] {
        drop(page);
        page = member(&cluster[node], &channel, "ann").await;
    }
    settle(&cluster, &mut receiver).await;
    receiver.expect_nothing_more_on(&channel);
    drop(page);
    let go = [removed(&channel, "ann"), vacated(&channel)];
    expect_events(&mut receiver, &channel, &go).await;
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn departures_by_the_death_of_a_node_are_reported_once() {
    let (mut receiver, redis, mut cluster) = or_skip!(start(100).await);
    let [only_there, shared] = [channel_name("presence-"), channel_name("presence-")];
    let _ann = member(&cluster[0], &shared, "ann").await;
    let mut lost = Vec::new();
    let mut come = vec![occupied(&only_there)];
    let mut go = vec![vacated(&only_there)];
    for number in 0..20 {
        let user_id = format!("u{number}");
        lost.push(member(&cluster[2], &only_there, &user_id).await);
        come.push(added(&only_there, &user_id));
        go.push(removed(&only_there, &user_id));
    }
    lost.push(member(&cluster[2], &shared, "bob").await);
    expect_events(&mut receiver, &only_there, &come).await;
    let both = [
        occupied(&shared),
        added(&shared, "ann"),
        added(&shared, "bob"),
    ];
    expect_events(&mut receiver, &shared, &both).await;
    cluster.kill(2).await;
    expect_events(&mut receiver, &only_there, &go).await;
    expect_events(&mut receiver, &shared, &[removed(&shared, "bob")]).await;
    settle(&cluster, &mut receiver).await;
    receiver.expect_nothing_more();
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn departure_that_was_waiting_on_a_node_that_dies_is_reported_once() {
    let (mut receiver, redis, mut cluster) = or_skip!(start(10_000).await);
    let channel = channel_name("presence-");
    let ann = member(&cluster[2], &channel, "ann").await;
    let come = [occupied(&channel), added(&channel, "ann")];
    expect_events(&mut receiver, &channel, &come).await;
    drop(ann);
    let left = json!({"occupied": false, "subscription_count": 0});
    wait_for_channel(&cluster, &channel, "subscription_count", &left).await;
    cluster.kill(2).await;
    // Had it been reported before, this test would show nothing.
    receiver.expect_nothing_more_on(&channel);
    let go = [removed(&channel, "ann"), vacated(&channel)];
    expect_events(&mut receiver, &channel, &go).await;
    settle(&cluster, &mut receiver).await;
    receiver.expect_nothing_more();
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn member_who_comes_back_elsewhere_after_the_death_of_a_node_never_left() {
    let (mut receiver, redis, mut cluster) = or_skip!(start(10_000).await);
    let channel = channel_name("presence-");
    let lost = member(&cluster[2], &channel, "ann").await;
    let come = [occupied(&channel), added(&channel, "ann")];
    expect_events(&mut receiver, &channel, &come).await;
    cluster.kill(2).await;
    drop(lost);
    let _back = member(&cluster[0], &channel, "ann").await;
    let one = json!({"occupied": true, "subscription_count": 1});
    wait_for_channel(&cluster, &channel, "subscription_count", &one).await;
    receiver.expect_nothing_more_on(&channel);
    cluster.finish().await;
    // At the end of the last node nothing waits any longer.
    let go = [removed(&channel, "ann"), vacated(&channel)];
    expect_events(&mut receiver, &channel, &go).await;
    receiver.expect_nothing_more();
    redis
        .expect_nothing_lasting(protocol_tests::cluster::PREFIX)
        .await;
}

#[tokio::test]
async fn departures_of_an_app_that_the_nodes_left_do_not_know_are_reported_by_the_next_that_does() {
    let (mut receiver, redis, mut knowing) = or_skip!(start_with(50, 1).await);
    let channel = channel_name("presence-");
    let ann = member(&knowing[0], &channel, "ann").await;
    let come = [occupied(&channel), added(&channel, "ann")];
    expect_events(&mut receiver, &channel, &come).await;
    let other = Cluster::builder(redis.url()).app(AppConfig::new("20002"));
    let other = or_skip!(other.nodes(1).start_without_redis().await);
    wait_until_ready(&other[0]).await;
    knowing.kill(0).await;
    drop(ann);
    eventually("the node to find what it cannot report", || async {
        let mut log = other[0].log().into_iter();
        log.any(|line| line.contains("left to nodes that do"))
            .then_some(())
    })
    .await;
    receiver.expect_nothing_more_on(&channel);
    knowing.start(0).await;
    let go = [removed(&channel, "ann"), vacated(&channel)];
    expect_events(&mut receiver, &channel, &go).await;
    receiver.expect_nothing_more();
    other.finish().await;
    finish(knowing, &redis).await;
}
