//! Redis fails, and comes back: nobody notices more than must be.

use std::time::Duration;

use protocol_tests::cluster::NODE_TIMEOUT;
use protocol_tests::{RedisServer, or_skip};
use tokio::time::sleep;

use crate::roster::{expect_alive, expect_unchanged, spread_members};
use crate::stream::Streams;
use crate::support::{channel_name, figure, finish, nodes, start, wait_until_nothing_waits};

/// How long Redis is paused: longer than any timeout there is between the nodes and it.
const PAUSE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn redis_that_is_killed_and_comes_back_empty_costs_nothing() {
    let mut redis = RedisServer::start().await;
    // Longer than Redis is away.
    let builder = nodes(&redis).set("cluster.node_timeout", 30);
    let cluster = or_skip!(builder.start().await);
    let channel = channel_name("presence-");
    let (mut members, truth) = spread_members(&cluster, &channel, 9).await;
    let streams = Streams::start(&cluster).await;
    for _ in 0..3 {
        streams.go_on(50).await;
        redis.kill().await;
        streams.go_on(50).await;
        redis.restart().await;
        cluster.wait_until_ready().await;
        streams.go_on(50).await;
    }
    streams.finish().await;
    expect_unchanged(&cluster, &mut members, &truth).await;
    expect_alive(&cluster, &mut members, &truth).await;
    drop(members);
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn redis_that_stays_away_for_longer_than_nodes_live_costs_nothing_that_was_accepted() {
    let (mut redis, cluster) = or_skip!(start().await);
    let channel = channel_name("presence-");
    let (mut members, mut truth) = spread_members(&cluster, &channel, 9).await;
    let streams = Streams::start(&cluster).await;
    streams.go_on(20).await;
    redis.kill().await;
    // Two of nine go meanwhile, on two nodes.
    for _ in 0..2 {
        let gone = members.pop().expect("there are nine");
        truth.remove(&gone.user_id);
    }
    sleep(Duration::from_secs(u64::from(NODE_TIMEOUT) + 2)).await;
    redis.restart().await;
    cluster.wait_until_ready().await;
    streams.go_on(20).await;
    streams.finish().await;
    for member in &mut members {
        member.until(&truth).await;
    }
    expect_alive(&cluster, &mut members, &truth).await;
    drop(members);
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn redis_that_hangs_for_20_seconds_costs_nothing_that_was_accepted() {
    let (redis, cluster) = or_skip!(start().await);
    let channel = channel_name("presence-");
    let (mut members, mut truth) = spread_members(&cluster, &channel, 9).await;
    let streams = Streams::start(&cluster).await;
    streams.go_on(20).await;
    redis.pause();
    let gone = members.pop().expect("there are nine");
    truth.remove(&gone.user_id);
    drop(gone);
    sleep(PAUSE).await;
    redis.resume();
    cluster.wait_until_ready().await;
    streams.go_on(20).await;
    streams.finish().await;
    for member in &mut members {
        member.until(&truth).await;
    }
    expect_alive(&cluster, &mut members, &truth).await;
    drop(members);
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn connections_to_redis_that_are_cut_one_by_one_cost_nothing() {
    let (redis, cluster) = or_skip!(start().await);
    let channel = channel_name("presence-");
    let (mut members, truth) = spread_members(&cluster, &channel, 9).await;
    let streams = Streams::start(&cluster).await;
    let mut cut = 0;
    for _ in 0..3 {
        for id in redis.clients().await {
            streams.go_on(5).await;
            cut += usize::from(redis.close_client(&id).await);
            streams.go_on(5).await;
            cluster.wait_until_ready().await;
        }
    }
    assert!(cut >= 3 * 3, "only {cut} connections were cut");
    streams.finish().await;
    expect_unchanged(&cluster, &mut members, &truth).await;
    expect_alive(&cluster, &mut members, &truth).await;
    for node in cluster.nodes() {
        assert_eq!(figure(node, "connected").await, 1.0);
        wait_until_nothing_waits(node).await;
    }
    drop(members);
    finish(cluster, &redis).await;
}
