//! A node is stopped while Redis is away, or as the last one.

use std::time::Duration;

use protocol_tests::{eventually, or_skip};
use tokio::time::sleep;

use crate::roster::{Member, users_of};
use crate::support::{channel_name, figure, finish, member, nodes};

#[tokio::test]
async fn node_hands_over_if_redis_is_back_before_the_node_must_end() {
    let redis = protocol_tests::RedisServer::start().await;
    // Nobody is taken for dead while this test lasts.
    let builder = nodes(&redis).set("cluster.node_timeout", 600).nodes(2);
    let mut cluster = or_skip!(builder.start().await);
    let channel = channel_name("presence-");
    let mut watcher = Member::of(&cluster[0], &channel, "watcher").await;
    let mut leaver = Member::of(&cluster[1], &channel, "leaver").await;
    watcher
        .until(&users_of(["watcher", "leaver"].map(str::to_owned)))
        .await;
    redis.pause();
    eventually("the node to know that Redis is away", || async {
        (figure(&cluster[1], "connected").await == 0.0).then_some(())
    })
    .await;
    let back = async {
        leaver.client.expect_close().await;
        drop(leaver);
        sleep(Duration::from_secs(1)).await;
        redis.resume();
    };
    tokio::join!(cluster.stop(1), back);
    watcher.until(&users_of(["watcher".to_owned()])).await;
    cluster.wait_until_ready().await;
    drop(watcher);
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn only_a_node_that_leaves_others_behind_sends_its_clients_to_them() {
    let redis = protocol_tests::RedisServer::start().await;
    let mut cluster = or_skip!(nodes(&redis).nodes(2).start().await);
    let mut client = member(&cluster[1], &channel_name("presence-"), "first").await;
    tokio::join!(cluster.stop(1), client.expect_close_code(4200));
    eventually("the other node to know that it is alone", || async {
        (figure(&cluster[0], "nodes").await == 1.0).then_some(())
    })
    .await;
    let mut client = member(&cluster[0], &channel_name("presence-"), "last").await;
    tokio::join!(cluster.stop(0), client.expect_close_code(1001));
    // What it shared is gone with it.
    finish(cluster, &redis).await;
}
