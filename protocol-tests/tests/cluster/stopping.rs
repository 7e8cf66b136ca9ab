//! A node is stopped while Redis is away.

use std::time::Duration;

use protocol_tests::{eventually, or_skip};
use tokio::time::sleep;

use crate::roster::{Member, users_of};
use crate::support::{channel_name, figure, finish, nodes};

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
