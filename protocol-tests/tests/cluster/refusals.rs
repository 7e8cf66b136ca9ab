//! Redis answers, and refuses: to the clients and backends it is as good as away.

use protocol_tests::{PublishedEvent, RedisServer, Request, TestServer, eventually};
use redis::cmd;

use crate::support::{channel_name, expect_nothing, start, subscriber_of_each};

/// Sets how much memory Redis may use: with a single byte it refuses whatever needs some. 0: as much as there is.
async fn limit_memory(redis: &RedisServer, bytes: u32) {
    let mut command = cmd("CONFIG");
    command.arg("SET").arg("maxmemory").arg(bytes);
    let () = redis.command(&command).await;
}

async fn wait_for_readiness(node: &TestServer, status: u16) {
    eventually("the node to say how it is", || async {
        let answer = node.request(&Request::new("GET", "/ready")).await;
        (answer.status == status).then_some(())
    })
    .await;
}

#[tokio::test]
async fn nobody_waits_for_a_redis_that_has_no_memory_left() {
    let Some((redis, mut cluster)) = start().await else {
        return;
    };
    let channel = channel_name("private-");
    let mut clients = subscriber_of_each(&cluster, &channel).await;
    limit_memory(&redis, 1).await;
    // Answered, and kept until Redis takes it.
    cluster[0]
        .publish(PublishedEvent::new(&channel, "published", "x"))
        .await;
    clients[0].expect_event_on(&channel, "published").await;
    let mut late = cluster[0].connect().await;
    late.subscribe(&channel_name("private-")).await;
    late.subscribe_presence(&channel_name("presence-"), "u", serde_json::json!({}))
        .await;
    late.sign_in("u").await;
    for node in cluster.nodes() {
        wait_for_readiness(node, 503).await;
    }
    late.subscribe(&channel_name("private-")).await;
    limit_memory(&redis, 0).await;
    for node in cluster.nodes() {
        wait_for_readiness(node, 200).await;
    }
    for client in &mut clients[1..] {
        client.expect_event_on(&channel, "published").await;
    }
    expect_nothing(&cluster, &mut clients).await;
    // They have logged an error, as they should: that would not be a clean end.
    for position in cluster.positions() {
        cluster.kill(position).await;
    }
    cluster.finish().await;
}
