//! Redis loses its memory, or returns with an old one: the nodes make it good, and nobody is sent what did not happen.
//!
//! - [`reports`]: to webhooks
//! - [`events`]: none is lost that can be had, and what is lost is counted

mod events;
mod reports;

use protocol_tests::cluster::PREFIX;
use protocol_tests::{Cluster, PublishedEvent, RedisServer, WsClient, eventually, or_skip};
use serde_json::json;

use crate::roster::{Member, expect_alive, expect_unchanged, spread_members, users_of};
use crate::stream::Streams;
use crate::support::{
    channel_name, expect_nothing, figure, finish, member, nodes, start, subscriber_of_each,
    wait_for_channel, wait_for_users,
};

/// Waits until Redis has so many nodes on its list.
async fn wait_for_nodes(redis: &RedisServer, count: usize) {
    eventually("the nodes to be on the list again", || async {
        let mut command = redis::cmd("ZCARD");
        command.arg(format!("{PREFIX}{{nodes}}"));
        let listed: usize = redis.command(&command).await;
        (listed == count).then_some(())
    })
    .await;
}

/// Publishes through every node, and asserts that every client receives all of it.
async fn expect_delivery(cluster: &Cluster, channel: &str, clients: &mut [WsClient]) {
    for node in cluster.nodes() {
        for number in 0..5 {
            let event = PublishedEvent::new(channel, "after", number.to_string());
            node.publish(event).await;
        }
        for client in &mut *clients {
            for number in 0..5 {
                let event = client.expect_event_on(channel, "after").await;
                assert_eq!(event.data_text(), number.to_string());
            }
        }
    }
}

// Everything is gone, and the connections hold.

#[tokio::test]
async fn quiet_channels_are_known_again_after_flushall() {
    let (redis, cluster) = or_skip!(start().await);
    let public = channel_name("public-");
    let mut clients = subscriber_of_each(&cluster, &public).await;
    let presence = channel_name("presence-");
    let (mut members, truth) = spread_members(&cluster, &presence, 6).await;
    redis.flush().await;
    wait_for_nodes(&redis, 3).await;
    let all = json!({"occupied": true, "subscription_count": 3});
    wait_for_channel(&cluster, &public, "subscription_count", &all).await;
    let ids: Vec<String> = truth.keys().cloned().collect();
    wait_for_users(&cluster, &presence, &ids).await;
    expect_delivery(&cluster, &public, &mut clients).await;
    expect_nothing(&cluster, &mut clients).await;
    expect_unchanged(&cluster, &mut members, &truth).await;
    expect_alive(&cluster, &mut members, &truth).await;
    for node in cluster.nodes() {
        assert_eq!(figure(node, "events_lost_total").await, 0.0);
    }
    drop(members);
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn nothing_is_lost_under_load_by_flushall() {
    let (redis, cluster) = or_skip!(start().await);
    let presence = channel_name("presence-");
    let (mut members, truth) = spread_members(&cluster, &presence, 6).await;
    let streams = Streams::start(&cluster).await;
    for _ in 0..3 {
        streams.go_on(30).await;
        redis.flush().await;
        streams.go_on(30).await;
        wait_for_nodes(&redis, 3).await;
        cluster.wait_until_ready().await;
    }
    streams.go_on(30).await;
    streams.finish().await;
    expect_unchanged(&cluster, &mut members, &truth).await;
    drop(members);
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn first_event_after_flushall_arrives_where_nobody_else_has_noticed() {
    let (redis, cluster) = or_skip!(start().await);
    let channel = channel_name("public-");
    let mut client = cluster[1].connect().await;
    client.subscribe(&channel).await;
    for number in 0..5 {
        redis.flush().await;
        // The publishing node has nothing of its own on the channel.
        let event = PublishedEvent::new(&channel, "first", number.to_string());
        cluster[0].publish(event).await;
        let event = client.expect_event_on(&channel, "first").await;
        assert_eq!(event.data_text(), number.to_string());
    }
    finish(cluster, &redis).await;
}

/// Strikes a node from the list, as another node with a shorter timeout does.
async fn give_up_a_node(redis: &RedisServer) {
    let list = format!("{PREFIX}{{nodes}}");
    let mut command = redis::cmd("ZRANGE");
    command.arg(&list).arg(0).arg(0);
    let nodes: Vec<String> = redis.command(&command).await;
    let mut command = redis::cmd("ZADD");
    command.arg(format!("{list}:dead")).arg(0).arg(&nodes[0]);
    let _: usize = redis.command(&command).await;
    let mut command = redis::cmd("ZREM");
    command.arg(&list).arg(&nodes[0]);
    let _: usize = redis.command(&command).await;
    // After the list: a heartbeat of a node that is on it writes its version again.
    let mut command = redis::cmd("HDEL");
    command.arg(format!("{list}:versions")).arg(&nodes[0]);
    let _: usize = redis.command(&command).await;
}

#[tokio::test]
async fn node_that_the_others_gave_up_reports_all_it_has_while_its_connection_holds() {
    let redis = RedisServer::start().await;
    // Its heartbeats come once a second; the others have given it up by then.
    let builder = nodes(&redis).nodes(2).set("cluster.node_timeout", 600);
    let cluster = or_skip!(builder.start().await);
    let public = channel_name("public-");
    let mut clients = subscriber_of_each(&cluster, &public).await;
    let presence = channel_name("presence-");
    let (mut members, truth) = spread_members(&cluster, &presence, 4).await;
    for _ in 0..2 {
        give_up_a_node(&redis).await;
        wait_for_nodes(&redis, 2).await;
        let all = json!({"occupied": true, "subscription_count": 2});
        wait_for_channel(&cluster, &public, "subscription_count", &all).await;
        let ids: Vec<String> = truth.keys().cloned().collect();
        wait_for_users(&cluster, &presence, &ids).await;
        expect_delivery(&cluster, &public, &mut clients).await;
    }
    expect_alive(&cluster, &mut members, &truth).await;
    drop(members);
    finish(cluster, &redis).await;
}

// Redis returns with what it had some time ago.

/// Lets Redis die and return with what it had when it was saved.
async fn go_back(redis: &mut RedisServer, cluster: &Cluster) {
    redis.kill().await;
    redis.restart_as_saved().await;
    cluster.wait_until_ready().await;
}

#[tokio::test]
async fn who_left_since_the_dump_is_gone_and_who_came_is_there() {
    let (mut redis, cluster) = or_skip!(start().await);
    let presence = channel_name("presence-");
    let left = channel_name("public-left-");
    let (mut members, mut truth) = spread_members(&cluster, &presence, 6).await;
    let other = channel_name("presence-other-");
    let elsewhere = member(&cluster[1], &other, "ann").await;
    let subscribers = subscriber_of_each(&cluster, &left).await;
    redis.save().await;
    drop(subscribers);
    drop(elsewhere);
    let gone = members.pop().expect("there are six");
    truth.remove(&gone.user_id);
    drop(gone);
    let mut late = Member::of(&cluster[2], &presence, "late").await;
    truth.extend(users_of(["late".to_owned()]));
    for member in &mut members {
        member.until(&truth).await;
    }
    let nobody = json!({"occupied": false});
    wait_for_channel(&cluster, &left, "", &nobody).await;
    wait_for_users(&cluster, &other, &[]).await;

    go_back(&mut redis, &cluster).await;
    let ids: Vec<String> = truth.keys().cloned().collect();
    wait_for_users(&cluster, &presence, &ids).await;
    wait_for_users(&cluster, &other, &[]).await;
    wait_for_channel(&cluster, &left, "", &nobody).await;
    late.until(&truth).await;
    for member in &mut members {
        member.until(&truth).await;
    }
    expect_alive(&cluster, &mut members, &truth).await;
    drop((members, late));
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn node_that_ended_since_the_dump_leaves_nothing() {
    let mut redis = RedisServer::start().await;
    let builder = nodes(&redis).nodes(2);
    let mut cluster = or_skip!(builder.start().await);
    let presence = channel_name("presence-");
    let _ann = member(&cluster[0], &presence, "ann").await;
    let mut bob = member(&cluster[1], &presence, "bob").await;
    let alone = channel_name("presence-alone-");
    bob.subscribe_presence(&alone, "bob", json!({})).await;
    redis.save().await;
    let gone = tokio::spawn(async move { bob.expect_close().await });
    cluster.stop(1).await;
    gone.await.unwrap();
    go_back(&mut redis, &cluster).await;
    wait_for_users(&cluster, &presence, &["ann".to_owned()]).await;
    wait_for_users(&cluster, &alone, &[]).await;
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn events_after_an_old_dump_are_not_taken_for_old_ones() {
    let (mut redis, cluster) = or_skip!(start().await);
    let channel = channel_name("public-");
    let mut clients = subscriber_of_each(&cluster, &channel).await;
    redis.save().await;
    // The log's head is far beyond that of the dump by now.
    for _ in 0..4 {
        expect_delivery(&cluster, &channel, &mut clients).await;
    }
    for _ in 0..2 {
        go_back(&mut redis, &cluster).await;
        expect_delivery(&cluster, &channel, &mut clients).await;
    }
    expect_nothing(&cluster, &mut clients).await;
    finish(cluster, &redis).await;
}
