//! Redis comes back without its memory, which the nodes give it again: nothing is reported meanwhile.

use std::time::Duration;

use protocol_tests::cluster::NODE_TIMEOUT;
use protocol_tests::names::unique;
use protocol_tests::{Cluster, PublishedEvent, RedisServer, TcpProxy, or_skip};
use redis::cmd;
use tokio::time::sleep;

use crate::roster::{expect_unchanged, spread_members};
use crate::stream::Streams;
use crate::support::{app, channel_name, figure, finish, nodes, signed_in, start};

/// Until whoever has not come back to a Redis without memory counts as gone.
const RECONCILED_AFTER: Duration = Duration::from_secs(NODE_TIMEOUT as u64 + 1);

#[tokio::test]
async fn events_go_on_while_it_is_found_out_who_has_not_come_back() {
    let (mut redis, cluster) = or_skip!(start().await);
    let channel = channel_name("presence-");
    let (mut members, truth) = spread_members(&cluster, &channel, 6).await;
    let streams = Streams::start(&cluster).await;
    for _ in 0..2 {
        redis.kill().await;
        redis.restart().await;
        cluster.wait_until_ready().await;
        sleep(RECONCILED_AFTER).await;
        streams.go_on(10).await;
    }
    streams.finish().await;
    expect_unchanged(&cluster, &mut members, &truth).await;
    drop(members);
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn members_stay_if_redis_is_gone_again_when_it_is_to_be_found_out() {
    let mut redis = RedisServer::start().await;
    let builder = nodes(&redis).set("cluster.node_timeout", 6);
    let cluster = or_skip!(builder.start().await);
    let channel = channel_name("presence-");
    let (mut members, truth) = spread_members(&cluster, &channel, 9).await;
    redis.kill().await;
    redis.restart().await;
    cluster.wait_until_ready().await;
    sleep(Duration::from_millis(3500)).await;
    redis.kill().await;
    sleep(Duration::from_millis(3500)).await;
    redis.restart().await;
    cluster.wait_until_ready().await;
    expect_unchanged(&cluster, &mut members, &truth).await;
    drop(members);
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn user_who_is_online_all_the_time_is_never_reported_offline() {
    let mut redis = RedisServer::start().await;
    let app = app().set("watchlist", true).set("watchlist_grace", 0);
    // Nobody reads, or answers pings, for as long as this takes.
    let builder = Cluster::builder(redis.url())
        .app(app)
        .set("server.activity_timeout", 600);
    let cluster = or_skip!(builder.start().await);
    let (mut pages, mut watchers) = (Vec::new(), Vec::new());
    for position in 0..12 {
        let user = unique("u-");
        pages.push(signed_in(&cluster[position % 3], &user, &[]).await);
        let node = &cluster[(position + 1) % 3];
        let mut watcher = signed_in(node, &unique("w-"), &[&user]).await;
        watcher
            .expect_event("pusher_internal:watchlist_events")
            .await;
        watchers.push((watcher, user));
    }
    redis.kill().await;
    redis.restart().await;
    cluster.wait_until_ready().await;
    sleep(RECONCILED_AFTER).await;
    for (watcher, _) in &mut watchers {
        cluster.expect_nothing(watcher).await;
    }
    drop(pages);
    for (watcher, user) in &mut watchers {
        let notice = watcher
            .expect_event("pusher_internal:watchlist_events")
            .await;
        assert!(notice.text.contains("offline") && notice.text.contains(user.as_str()));
    }
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn nothing_counts_as_missed_where_the_log_has_only_grown_old() {
    let redis = RedisServer::start().await;
    let proxy = TcpProxy::start(&[redis.authority()]).await;
    let mut cluster = or_skip!(nodes(&redis).nodes(1).start().await);
    let url = format!("redis://{}/0", proxy.authority());
    let second = cluster.add_at(&url).await;
    cluster.wait_until_ready().await;
    let channel = channel_name("private-");
    let mut client = cluster[second].connect().await;
    client.subscribe(&channel).await;
    let publish = async |name: &str| {
        cluster[0]
            .publish(PublishedEvent::new(&channel, name, ""))
            .await;
    };
    publish("before").await;
    client.expect_event_on(&channel, "before").await;
    // As if nothing had been published for half a minute.
    let log = format!("fanfare:{{10001:{channel}}}:log");
    let () = redis.command(cmd("DEL").arg(&log)).await;
    proxy.cut();
    publish("meanwhile").await;
    proxy.restore();
    client.expect_event_on(&channel, "meanwhile").await;
    assert_eq!(figure(&cluster[second], "events_missed_total").await, 0.0);
    finish(cluster, &redis).await;
    drop(proxy);
}
