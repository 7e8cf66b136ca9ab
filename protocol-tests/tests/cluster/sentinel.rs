//! Sentinels make a replica the master: the nodes follow.

use protocol_tests::cluster::PREFIX;
use protocol_tests::{Sentinels, or_skip};

use crate::roster::{expect_alive, spread_members};
use crate::stream::Streams;
use crate::support::{channel_name, nodes_at};

#[tokio::test]
async fn nodes_follow_to_the_new_master_and_lose_nothing_that_was_accepted() {
    let mut redis = Sentinels::start().await;
    let cluster = or_skip!(nodes_at(redis.url()).start().await);
    let channel = channel_name("presence-");
    let (mut members, mut truth) = spread_members(&cluster, &channel, 9).await;
    let streams = Streams::start(&cluster).await;
    streams.go_on(50).await;
    redis.fail_over().await;
    let gone = members.pop().expect("there are nine");
    truth.remove(&gone.user_id);
    drop(gone);
    cluster.wait_until_ready().await;
    streams.go_on(50).await;
    streams.finish().await;
    for member in &mut members {
        member.until(&truth).await;
    }
    expect_alive(&cluster, &mut members, &truth).await;
    drop(members);
    cluster.finish().await;
    redis.master().await.expect_nothing_lasting(PREFIX).await;
}
