//! A Redis Cluster as the nodes' Redis: channels are spread over its masters, and may move from one to another.

use protocol_tests::cluster::{NODE_TIMEOUT, PREFIX};
use protocol_tests::names::unique;
use protocol_tests::{
    Cluster, PublishedEvent, RedisCluster, RedisServer, Request, Skipped, eventually, or_skip,
};
use serde_json::json;

use crate::roster::{expect_alive, expect_unchanged, spread_members};
use crate::stream::Streams;
use crate::support::{
    channel, channel_name, member, nodes_at, signed_in, subscriber_of_each, wait_for_channel,
    wait_for_users,
};

async fn start() -> Result<(RedisCluster, Cluster), Skipped> {
    start_within(NODE_TIMEOUT).await
}

/// `node_timeout`: seconds without a heartbeat after which a node counts as dead.
async fn start_within(node_timeout: u32) -> Result<(RedisCluster, Cluster), Skipped> {
    let redis = RedisCluster::start().await;
    let builder = nodes_at(redis.urls()).set("cluster.node_timeout", node_timeout);
    Ok((redis, builder.start().await?))
}

async fn finish(cluster: Cluster, redis: &RedisCluster) {
    cluster.finish().await;
    for master in redis.masters() {
        master.expect_nothing_lasting(PREFIX).await;
    }
}

/// Moves whatever belongs to a channel to the next master.
async fn move_channel(redis: &RedisCluster, channel: &str) {
    let slots = redis.slots_of(PREFIX, channel).await;
    assert!(!slots.is_empty(), "Redis knows nothing of {channel}");
    for slot in slots {
        redis.move_slot(slot).await;
    }
}

#[tokio::test]
async fn events_of_channels_on_every_master_reach_every_node_once() {
    let (redis, cluster) = or_skip!(start().await);
    let mut channels = Vec::new();
    for _ in 0..12 {
        let channel = channel_name("private-");
        let clients = subscriber_of_each(&cluster, &channel).await;
        channels.push((channel, clients));
    }
    for master in redis.masters() {
        let topics = master.topics(PREFIX).await;
        assert!(
            topics.len() < 12,
            "all topics are on one master: {topics:?}"
        );
    }
    for (channel, clients) in &mut channels {
        for node in cluster.nodes() {
            node.publish(PublishedEvent::new(channel, "x", "y")).await;
            for client in &mut *clients {
                client.expect_event_on(channel, "x").await;
            }
        }
        clients[0]
            .send_client_event(channel, "client-x", json!({}))
            .await;
        for client in &mut clients[1..] {
            client.expect_event_on(channel, "client-x").await;
        }
        for client in clients {
            let seen = cluster.fence_on(client, channel).await;
            assert!(seen.is_empty(), "{seen:?}");
        }
    }
    let query = [("filter_by_prefix", "private-")];
    for node in cluster.nodes() {
        let answer = node.get("/channels", &query).await;
        let listed = answer["channels"].as_object().expect("it is a map");
        assert_eq!(listed.len(), 12, "{answer}");
    }
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn what_nodes_share_is_shared() {
    let (redis, mut cluster) = or_skip!(start().await);
    let presence = channel_name("presence-");
    let (mut members, truth) = spread_members(&cluster, &presence, 6).await;
    expect_alive(&cluster, &mut members, &truth).await;

    let cache = channel_name("cache-");
    cluster[0]
        .publish(PublishedEvent::new(&cache, "kept", "x"))
        .await;
    assert_eq!(
        channel(&cluster[1], &cache, "cache").await["cache"]["data"],
        "x"
    );
    let mut late = cluster[2].connect().await;
    late.subscribe(&cache).await;
    late.expect_event_on(&cache, "kept").await;

    let event = PublishedEvent::new(&cache, "once", "");
    let event = event.with("idempotency_key", unique("k-").into());
    let request = Request::post(cluster.app(), "/events").json(event.body());
    for position in 0..3 {
        let answer = cluster[position].request(&request).await.expect_status(200);
        let is_replay = answer.header("idempotency-replayed") == Some("true");
        assert_eq!(is_replay, position > 0);
    }
    late.expect_event_on(&cache, "once").await;
    let seen = cluster.fence_on(&mut late, &cache).await;
    assert!(seen.is_empty(), "{seen:?}");

    let user = unique("u-");
    let mut page = signed_in(&cluster[1], &user, &[]).await;
    let path = format!("/users/{user}/terminate_connections");
    let terminate = Request::post(cluster.app(), &path).json(&json!({}));
    cluster[0].request(&terminate).await.expect_status(200);
    page.expect_close_code(4009).await;

    cluster.kill(2).await;
    members.retain(|member| !["u2", "u5"].contains(&member.user_id.as_str()));
    let left = ["u0", "u1", "u3", "u4"].map(str::to_owned);
    let left_truth = crate::roster::users_of(left.clone());
    for member in &mut members {
        member.until(&left_truth).await;
    }
    wait_for_users(&cluster, &presence, &left).await;
    drop(members);
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn slot_that_moves_while_it_is_in_use_costs_nothing() {
    // No node is to count as dead, with nothing left of it in Redis, because the machine has too much to do.
    let (redis, cluster) = or_skip!(start_within(60).await);
    let presence = channel_name("presence-");
    let (mut members, truth) = spread_members(&cluster, &presence, 6).await;
    let streams = Streams::start(&cluster).await;
    for _ in 0..3 {
        for channel in streams.channels.iter().chain([&presence]) {
            streams.go_on(20).await;
            move_channel(&redis, channel).await;
        }
    }
    streams.go_on(50).await;
    streams.finish().await;
    expect_unchanged(&cluster, &mut members, &truth).await;
    expect_alive(&cluster, &mut members, &truth).await;
    drop(members);
    finish(cluster, &redis).await;
}

/// What a master has of a channel: keys, their milliseconds, and what they hold.
type State = Vec<(String, u64, Vec<u8>)>;

async fn state_of(master: &RedisServer, channel: &str) -> State {
    let mut state = Vec::new();
    for key in master.keys(PREFIX).await {
        if !key.contains(channel) {
            continue;
        }
        let lasts: i64 = master.command(redis::cmd("PTTL").arg(&key)).await;
        let held: Vec<u8> = master.command(redis::cmd("DUMP").arg(&key)).await;
        state.push((key, u64::try_from(lasts).unwrap_or(0), held));
    }
    state
}

/// The master's place is taken by a replica that was behind.
async fn go_back(master: &RedisServer, channel: &str, older: &State) {
    for (key, ..) in state_of(master, channel).await {
        let _: usize = master.command(redis::cmd("DEL").arg(&key)).await;
    }
    for (key, lasts, held) in older {
        let mut command = redis::cmd("RESTORE");
        command.arg(key).arg(*lasts).arg(&held[..]);
        let _: String = master.command(&command).await;
    }
    for kind in ["pubsub", "normal"] {
        let mut command = redis::cmd("CLIENT");
        command.arg("KILL").arg("TYPE").arg(kind);
        command.arg("SKIPME").arg("yes");
        let _: usize = master.command(&command).await;
    }
}

#[tokio::test]
async fn who_was_on_a_node_that_is_gone_is_not_there_again_when_a_master_was_behind() {
    let (redis, mut cluster) = or_skip!(start().await);
    let channel = channel_name("presence-");
    let _stays = member(&cluster[0], &channel, "ann").await;
    let killed = member(&cluster[1], &channel, "bob").await;
    let stopped = member(&cluster[2], &channel, "cy").await;
    let users = ["ann", "bob", "cy"].map(str::to_owned);
    wait_for_users(&cluster, &channel, &users).await;
    let slot = redis.slots_of(PREFIX, &channel).await[0];
    let master = &redis.masters()[redis.owner(slot).await];
    let older = state_of(master, &channel).await;
    cluster.kill(1).await;
    cluster.stop(2).await;
    drop((killed, stopped));
    wait_for_users(&cluster, &channel, &users[..1]).await;
    let dead = format!("{PREFIX}{{nodes}}:dead");
    eventually("the nodes to be cleaned up after", || async {
        let keys = redis.keys(PREFIX).await;
        (!keys.contains(&dead)).then_some(())
    })
    .await;
    go_back(master, &channel, &older).await;
    wait_for_users(&cluster, &channel, &users[..1]).await;
    let one = json!({"occupied": true, "user_count": 1, "subscription_count": 1});
    wait_for_channel(&cluster, &channel, "user_count,subscription_count", &one).await;
    finish(cluster, &redis).await;
}
