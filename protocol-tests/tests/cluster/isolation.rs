//! One node alone loses Redis: for a moment nobody notices, for longer its members are away.

use std::time::Duration;

use protocol_tests::cluster::NODE_TIMEOUT;
use protocol_tests::{Cluster, RedisServer, Skipped, TcpProxy, or_skip};
use tokio::time::sleep;

use crate::roster::{expect_unchanged, spread_members, users_of};
use crate::stream::Streams;
use crate::support::{channel_name, finish, nodes, wait_for_users};

/// Two nodes with a way of their own to Redis, and a third one behind a proxy.
async fn start(node_timeout: u32) -> Result<(RedisServer, TcpProxy, Cluster), Skipped> {
    let redis = RedisServer::start().await;
    let proxy = TcpProxy::start(&[redis.authority()]).await;
    let builder = nodes(&redis).set("cluster.node_timeout", node_timeout);
    let mut cluster = builder.nodes(2).start().await?;
    let url = format!("redis://{}/0", proxy.authority());
    cluster.add_at(&url).await;
    cluster.wait_until_ready().await;
    Ok((redis, proxy, cluster))
}

#[tokio::test]
async fn node_that_is_back_before_it_counts_as_dead_was_never_away() {
    let (redis, proxy, cluster) = or_skip!(start(20).await);
    let channel = channel_name("presence-");
    let (mut members, truth) = spread_members(&cluster, &channel, 6).await;
    let streams = Streams::start(&cluster).await;
    streams.go_on(20).await;
    proxy.cut();
    sleep(Duration::from_millis(1500)).await;
    proxy.restore();
    cluster.wait_until_ready().await;
    streams.go_on(20).await;
    proxy.hold();
    sleep(Duration::from_millis(1500)).await;
    proxy.restore();
    cluster.wait_until_ready().await;
    streams.go_on(20).await;
    proxy.close_connections();
    streams.go_on(20).await;
    cluster.wait_until_ready().await;
    streams.finish().await;
    expect_unchanged(&cluster, &mut members, &truth).await;
    drop(members);
    finish(cluster, &redis).await;
}

/// Takes the third node's Redis away for longer than it may be, in this way, and looks at both sides.
async fn isolate_for_long(isolate: impl Fn(&TcpProxy)) {
    let (redis, proxy, cluster) = or_skip!(start(NODE_TIMEOUT).await);
    let channel = channel_name("presence-");
    let (mut members, truth) = spread_members(&cluster, &channel, 6).await;
    let streams = Streams::start(&cluster).await;
    streams.go_on(20).await;

    isolate(&proxy);
    let elsewhere = users_of(["u0", "u1", "u3", "u4"].map(str::to_owned));
    for member in &mut members {
        if elsewhere.contains_key(&member.user_id) {
            member.until(&elsewhere).await;
            assert_eq!(member.changes, 2, "two were removed");
        }
    }
    let ids: Vec<String> = elsewhere.keys().cloned().collect();
    for node in [0, 1] {
        assert_eq!(crate::support::users(&cluster[node], &channel).await, ids);
    }
    streams.go_on(20).await;

    proxy.restore();
    cluster.wait_until_ready().await;
    for member in &mut members {
        member.until(&truth).await;
    }
    streams.go_on(20).await;
    streams.finish().await;
    let ids: Vec<String> = truth.keys().cloned().collect();
    wait_for_users(&cluster, &channel, &ids).await;
    for member in &mut members {
        for event in cluster.fence_on(&mut member.client, &channel).await {
            member.apply(&event);
        }
        assert_eq!(member.believed, truth);
    }
    drop(members);
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn members_of_a_node_that_is_cut_off_for_long_are_removed_and_come_back() {
    isolate_for_long(TcpProxy::cut).await;
}

#[tokio::test]
async fn members_of_a_node_whose_packets_are_dropped_for_long_are_removed_and_come_back() {
    isolate_for_long(TcpProxy::hold).await;
}
