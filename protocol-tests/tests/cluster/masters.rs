//! A master of a Redis Cluster fails: what is on the others goes on, and the nodes live.

use protocol_tests::cluster::PREFIX;
use protocol_tests::{Cluster, PublishedEvent, RedisCluster, eventually, or_skip};

use crate::support::{channel_name, figure, nodes_at, subscriber_of_each};

/// So many channels that every master has some.
const CHANNELS: usize = 12;
/// Channels that every node has to do with only once a master is away.
const NEW_CHANNELS: usize = 4;

/// Waits until every node has noticed that not all masters can be reached.
async fn wait_until_noticed(cluster: &Cluster) {
    for node in cluster.nodes() {
        eventually("the node to miss the master", || async {
            (figure(node, "connected").await == 0.0).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn node_survives_the_loss_of_any_master() {
    let redis = RedisCluster::start().await;
    let cluster = or_skip!(nodes_at(redis.urls()).start().await);
    let mut channels = Vec::new();
    for _ in 0..CHANNELS {
        let channel = channel_name("private-");
        let clients = subscriber_of_each(&cluster, &channel).await;
        channels.push((channel, clients));
    }
    for master in redis.masters() {
        master.pause();
        wait_until_noticed(&cluster).await;
        // Channels that no master knows yet, on the masters that are left and on the one that is not.
        let mut pages = Vec::new();
        for node in cluster.nodes() {
            for _ in 0..NEW_CHANNELS {
                let mut page = node.connect().await;
                page.subscribe(&channel_name("public-")).await;
                pages.push(page);
            }
        }
        master.resume();
        cluster.wait_until_ready().await;
    }
    for (channel, clients) in &mut channels {
        cluster[0]
            .publish(PublishedEvent::new(channel, "x", "y"))
            .await;
        for client in clients {
            client.expect_event_on(channel, "x").await;
        }
    }
    cluster.finish().await;
    for master in redis.masters() {
        master.expect_nothing_lasting(PREFIX).await;
    }
}
