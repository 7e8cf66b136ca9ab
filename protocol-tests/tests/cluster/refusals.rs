//! Redis answers, and refuses: to the clients and backends it is as good as away.

use std::time::Duration;

use protocol_tests::{PublishedEvent, RedisServer, Request, TestServer, eventually, or_skip};
use redis::cmd;
use tokio::time::sleep;

use crate::roster::{Member, users_of};
use crate::support::{channel_name, expect_nothing, finish, nodes, start, subscriber_of_each};

/// Sets how much memory Redis may use: with a single byte it refuses whatever needs some. 0: as much as there is.
async fn limit_memory(redis: &RedisServer, bytes: u32) {
    let mut command = cmd("CONFIG");
    command.arg("SET").arg("maxmemory").arg(bytes);
    let () = redis.command(&command).await;
}

async fn wait_for_readiness(node: &TestServer, status: u16) {
    eventually("the node to answer how it is", || async {
        let answer = node.request(&Request::new("GET", "/ready")).await;
        (answer.status == status).then_some(())
    })
    .await;
}

#[tokio::test]
async fn nobody_waits_for_a_redis_that_has_no_memory_left() {
    let (redis, mut cluster) = or_skip!(start().await);
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

#[tokio::test]
async fn member_who_came_and_went_while_redis_refused_is_gone() {
    let (redis, mut cluster) = or_skip!(start().await);
    let channel = channel_name("presence-");
    let mut watcher = Member::of(&cluster[0], &channel, "watcher").await;
    limit_memory(&redis, 1).await;
    let short = Member::of(&cluster[0], &channel, "short").await;
    let both = users_of(["watcher", "short"].map(str::to_owned));
    watcher.until(&both).await;
    short.leave().await;
    limit_memory(&redis, 0).await;
    watcher.until(&users_of(["watcher".to_owned()])).await;
    let late = Member::of(&cluster[0], &channel, "late").await;
    assert_eq!(
        late.believed,
        users_of(["watcher", "late"].map(str::to_owned))
    );
    for position in cluster.positions() {
        cluster.kill(position).await;
    }
    cluster.finish().await;
}

#[tokio::test]
async fn replica_is_not_asked_without_a_pause() {
    let master = RedisServer::start().await;
    let port = master.port().to_string();
    let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &port]).await;
    let builder = nodes(&replica).nodes(1);
    let cluster = or_skip!(builder.start_without_redis().await);
    let connections = || async {
        let stats: String = replica.command(cmd("INFO").arg("stats")).await;
        let line = stats
            .lines()
            .find_map(|line| line.strip_prefix("total_connections_received:"));
        line.expect("Redis counts its connections")
            .parse::<u32>()
            .expect("it is a number")
    };
    let before = connections().await;
    sleep(Duration::from_secs(3)).await;
    let during = connections().await - before;
    assert!(during < 50, "{during} connections in three seconds");
    let () = replica.command(cmd("REPLICAOF").arg("NO").arg("ONE")).await;
    cluster.wait_until_ready().await;
    finish(cluster, &replica).await;
}
