//! A node that dies is cleaned up by the others, once; one that is stopped hands over at once.

use std::time::Duration;

use protocol_tests::cluster::{NODE_TIMEOUT, PREFIX};
use protocol_tests::names::unique;
use protocol_tests::random::number_from;
use protocol_tests::{Cluster, Event, PublishedEvent, RedisServer, WsClient, eventually, or_skip};
use serde_json::json;
use tokio::time::Instant;

use crate::roster::{Member, users_of};
use crate::support::{
    app, channel_name, finish, member, nodes, signed_in, start, users, wait_for_channel,
    wait_for_users,
};

/// Members on the node that dies. PROTOCOL_TESTS_CLUSTER_MEMBERS makes them more or fewer.
const MEMBERS: usize = 500;
/// Members of one channel: as many as one may have by default, less the watchers.
const MEMBERS_OF_CHANNEL: usize = 96;
/// What the death of a node may take to be made good, on a busy machine.
const CLEANED_UP_WITHIN: Duration = Duration::from_secs(NODE_TIMEOUT as u64 + 10);

/// Asserts that no more time has passed since the death than making it good may take.
#[track_caller]
fn assert_in_time(died: Instant) {
    let took = died.elapsed();
    assert!(took <= CLEANED_UP_WITHIN, "it took {took:?}");
}

/// Waits until Redis holds no more keys than it did when nobody was connected.
async fn wait_for_keys(redis: &RedisServer, idle: &[String]) {
    let mut left = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        for key in redis.keys(PREFIX).await {
            if !idle.contains(&key) {
                left.push(key);
            }
        }
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "Redis still holds {left:#?}");
        left.clear();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn members_of_a_killed_node_are_removed_once_and_in_time() {
    let (redis, mut cluster) = or_skip!(start().await);
    let idle = redis.keys(PREFIX).await;
    let count = number_from("PROTOCOL_TESTS_CLUSTER_MEMBERS", MEMBERS);
    let channels: Vec<String> = (0..count.div_ceil(MEMBERS_OF_CHANNEL))
        .map(|_| channel_name("presence-"))
        .collect();
    let mut watchers = Vec::new();
    for channel in &channels {
        for node in 0..2 {
            let watcher = Member::of(&cluster[node], channel, &format!("watcher-{node}")).await;
            watchers.push(watcher);
        }
    }
    let mut members: Vec<WsClient> = Vec::new();
    for number in 0..count {
        let channel = &channels[number / MEMBERS_OF_CHANNEL];
        members.push(member(&cluster[2], channel, &format!("u{number}")).await);
    }
    for (position, watcher) in watchers.iter_mut().enumerate() {
        let of_channel = position / 2 * MEMBERS_OF_CHANNEL;
        let users = of_channel..(of_channel + MEMBERS_OF_CHANNEL).min(count);
        let everybody = users.map(|number| format!("u{number}"));
        let watching = (0..2).map(|node| format!("watcher-{node}"));
        watcher.until(&users_of(everybody.chain(watching))).await;
    }

    let died = Instant::now();
    cluster.kill(2).await;
    let watching = users_of((0..2).map(|node| format!("watcher-{node}")));
    for watcher in &mut watchers {
        watcher.until(&watching).await;
    }
    assert_in_time(died);
    drop(members);
    let left = json!({"occupied": true, "user_count": 2, "subscription_count": 2});
    for channel in &channels {
        wait_for_channel(&cluster, channel, "user_count,subscription_count", &left).await;
    }
    for watcher in &mut watchers {
        let channel = watcher.channel.clone();
        let seen = cluster.fence_on(&mut watcher.client, &channel).await;
        assert!(seen.is_empty(), "{seen:?}");
    }
    drop(watchers);
    wait_for_keys(&redis, &idle).await;
    finish(cluster, &redis).await;
}

/// Takes messages to the one that reports so many subscribers.
async fn until_count(client: &mut WsClient, count: u64) {
    let is_notice = |event: &Event| {
        event.name == "pusher_internal:subscription_count"
            && event.data_json() == json!({"subscription_count": count})
    };
    client.events_until(is_notice).await;
}

#[tokio::test]
async fn users_and_subscribers_who_are_left_keep_their_channels_when_another_node_dies() {
    let redis = RedisServer::start().await;
    let app = app()
        .set("watchlist", true)
        .set("watchlist_grace", 0)
        .set("subscription_count", true);
    let mut cluster = or_skip!(Cluster::builder(redis.url()).app(app).start().await);
    let presence = channel_name("presence-");
    let public = channel_name("public-");
    let [both, gone] = [unique("both-"), unique("gone-")];
    let mut watcher = Member::of(&cluster[0], &presence, "watcher").await;
    let _here = member(&cluster[1], &presence, "both").await;
    let _there = member(&cluster[2], &presence, "both").await;
    let _gone = member(&cluster[2], &presence, "gone").await;
    watcher
        .until(&users_of(["watcher", "both", "gone"].map(str::to_owned)))
        .await;
    let _signed_in_here = signed_in(&cluster[1], &both, &[]).await;
    let _signed_in_there = signed_in(&cluster[2], &both, &[]).await;
    let _signed_in_gone = signed_in(&cluster[2], &gone, &[]).await;
    let mut watching = signed_in(&cluster[0], &unique("w-"), &[&both, &gone]).await;
    let statuses = watching.expect_event("pusher_internal:watchlist_events");
    let online = json!({"events": [{"name": "online", "user_ids": [both, gone]}]});
    assert_eq!(statuses.await.data_json(), online);
    let mut subscriber = cluster[1].connect().await;
    subscriber.subscribe(&public).await;
    let mut other = cluster[2].connect().await;
    other.subscribe(&public).await;
    until_count(&mut subscriber, 2).await;

    cluster.kill(2).await;
    watcher
        .until(&users_of(["watcher", "both"].map(str::to_owned)))
        .await;
    let status = watching.expect_event("pusher_internal:watchlist_events");
    let offline = json!({"events": [{"name": "offline", "user_ids": [gone]}]});
    assert_eq!(status.await.data_json(), offline);
    let one = json!({"occupied": true, "subscription_count": 1});
    wait_for_channel(&cluster, &public, "subscription_count", &one).await;
    until_count(&mut subscriber, 1).await;
    for client in [&mut watching, &mut subscriber, &mut watcher.client] {
        cluster.expect_nothing(client).await;
    }
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn node_that_starts_after_all_others_were_killed_cleans_up_after_them() {
    let redis = RedisServer::start().await;
    let mut cluster = or_skip!(nodes(&redis).nodes(2).start().await);
    let idle = redis.keys(PREFIX).await;
    let channel = channel_name("presence-");
    let members = [
        member(&cluster[0], &channel, "ann").await,
        member(&cluster[1], &channel, "bob").await,
    ];
    let died = Instant::now();
    cluster.kill(0).await;
    cluster.kill(1).await;
    drop(members);
    cluster.start(0).await;
    let mut late = Member::of(&cluster[0], &channel, "late").await;
    late.until(&users_of(["late".to_owned()])).await;
    wait_for_users(&cluster, &channel, &["late".to_owned()]).await;
    assert_in_time(died);
    drop(late);
    wait_for_keys(&redis, &idle).await;
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn killed_node_that_is_started_again_takes_part_and_its_members_come_back() {
    let redis = RedisServer::start().await;
    let mut cluster = or_skip!(nodes(&redis).nodes(2).start().await);
    let channel = channel_name("presence-");
    let mut watcher = Member::of(&cluster[0], &channel, "watcher").await;
    let lost = member(&cluster[1], &channel, "ann").await;
    let both = users_of(["watcher", "ann"].map(str::to_owned));
    watcher.until(&both).await;
    cluster.kill(1).await;
    drop(lost);
    cluster.start(1).await;
    let mut ann = Member::of(&cluster[1], &channel, "ann").await;
    ann.until(&both).await;
    // Whether she was away in between depends on who was faster; she is there in the end, also when the old node's
    // part has been cleaned up.
    eventually("the old node to be cleaned up", || async {
        let info = crate::support::channel(&cluster[0], &channel, "subscription_count").await;
        (info["subscription_count"] == 2).then_some(())
    })
    .await;
    cluster.wait_until_ready().await;
    for node in cluster.nodes() {
        assert_eq!(users(node, &channel).await, ["ann", "watcher"]);
        node.publish(PublishedEvent::new(&channel, "last", ""))
            .await;
        ann.until_event("last").await;
        watcher.until_event("last").await;
    }
    assert_eq!(ann.believed, both);
    watcher.until(&both).await;
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn stopped_node_hands_over_at_once() {
    let redis = RedisServer::start().await;
    // Nobody is taken for dead while this test lasts.
    let builder = nodes(&redis).set("cluster.node_timeout", 600);
    let mut cluster = or_skip!(builder.start().await);
    let channel = channel_name("presence-");
    let mut watcher = Member::of(&cluster[0], &channel, "watcher").await;
    let mut leavers = Vec::new();
    for number in 0..20 {
        leavers.push(member(&cluster[2], &channel, &format!("u{number}")).await);
    }
    let mut all = users_of((0..20).map(|number| format!("u{number}")));
    let watching = users_of(["watcher".to_owned()]);
    all.extend(watching.clone());
    watcher.until(&all).await;
    // Clients that go when they are asked to; else the node would wait for them.
    let gone = tokio::spawn(async move {
        for client in &mut leavers {
            client.expect_close().await;
        }
    });
    cluster.stop(2).await;
    gone.await.unwrap();
    watcher.until(&watching).await;
    wait_for_users(&cluster, &channel, &["watcher".to_owned()]).await;
    cluster.wait_until_ready().await;
    assert_eq!(watcher.changes, 40);
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn nothing_is_left_in_redis_once_everybody_has_gone() {
    let (redis, cluster) = or_skip!(start().await);
    let idle = redis.keys(PREFIX).await;
    let mut clients = Vec::new();
    for node in cluster.nodes() {
        for prefix in ["public-", "private-", "presence-"] {
            let channel = channel_name(prefix);
            let mut client = signed_in(node, &unique("u-"), &[]).await;
            crate::support::subscribe(&mut client, &channel).await;
            node.publish(PublishedEvent::new(&channel, "x", "y")).await;
            clients.push(client);
        }
    }
    assert!(redis.keys(PREFIX).await.len() > idle.len());
    drop(clients);
    wait_for_keys(&redis, &idle).await;
    cluster.finish().await;
    wait_for_keys(&redis, &[]).await;
}
