//! Events that are under way, or not read yet, when Redis dies, forgets or drops them.

use protocol_tests::cluster::PREFIX;
use protocol_tests::{PublishedEvent, RedisServer, TcpProxy, TestServer, eventually, or_skip};

use crate::support::{
    channel, channel_name, figure, finish, nodes, start, wait_until_nothing_waits,
};

#[tokio::test]
async fn sole_listener_that_is_given_up_and_returns_gets_what_was_published_meanwhile() {
    let redis = RedisServer::start().await;
    let proxy = TcpProxy::start(&[redis.authority()]).await;
    let mut cluster = or_skip!(nodes(&redis).nodes(1).start().await);
    let url = format!("redis://{}/0", proxy.authority());
    let apart = cluster.add_at(&url).await;
    cluster.wait_until_ready().await;
    let name = channel_name("public-");
    let mut client = cluster[apart].connect().await;
    client.subscribe(&name).await;
    proxy.cut();
    let node: &TestServer = &cluster[0];
    eventually("the node to be given up", || async {
        let report = channel(node, &name, "").await;
        (report["occupied"] == false).then_some(())
    })
    .await;
    for number in 0..20 {
        let event = PublishedEvent::new(&name, "meanwhile", number.to_string());
        node.publish(event).await;
    }
    proxy.restore();
    cluster.wait_until_ready().await;
    for number in 0..20 {
        let event = client.expect_event_on(&name, "meanwhile").await;
        assert_eq!(event.data_text(), number.to_string());
    }
    assert_eq!(figure(&cluster[apart], "events_lost_total").await, 0.0);
    finish(cluster, &redis).await;
    drop(proxy);
}

#[tokio::test]
async fn what_redis_had_not_passed_on_when_it_died_and_forgot_is_delivered_in_order() {
    let mut redis = RedisServer::start().await;
    let proxy = TcpProxy::start(&[redis.authority()]).await;
    let builder = nodes(&redis).nodes(1);
    let mut cluster = or_skip!(builder.start().await);
    let url = format!("redis://{}/0", proxy.authority());
    let apart = cluster.add_at(&url).await;
    cluster.wait_until_ready().await;
    let name = channel_name("public-");
    let mut client = cluster[apart].connect().await;
    client.subscribe(&name).await;
    let publish = async |data: &str| {
        let event = PublishedEvent::new(&name, "x", data);
        cluster[0].publish(event).await;
    };
    publish("before").await;
    client.expect_event_on(&name, "x").await;
    proxy.hold();
    publish("1").await;
    publish("2").await;
    redis.kill().await;
    proxy.cut();
    publish("3").await;
    redis.restart().await;
    proxy.restore();
    cluster.wait_until_ready().await;
    publish("4").await;
    for number in 1..=4 {
        let event = client.expect_event_on(&name, "x").await;
        assert_eq!(event.data_text(), number.to_string());
    }
    finish(cluster, &redis).await;
    drop(proxy);
}

#[tokio::test]
async fn who_comes_right_before_redis_dies_and_forgets_gets_nothing_twice() {
    let (mut redis, cluster) = or_skip!(start().await);
    let mut late = cluster[1].connect().await;
    for round in 0..3 {
        let name = channel_name("cache-");
        let mut there = cluster[2].connect().await;
        there.subscribe(&name).await;
        let event = PublishedEvent::new(&name, "x", "first");
        cluster[0].publish(event).await;
        late.subscribe(&name).await;
        let event = late.expect_event_on(&name, "x").await;
        assert_eq!(event.data_text(), "first");
        redis.kill().await;
        redis.restart().await;
        cluster.wait_until_ready().await;
        let data = round.to_string();
        let event = PublishedEvent::new(&name, "x", &*data);
        cluster[0].publish(event).await;
        let event = late.expect_event_on(&name, "x").await;
        assert_eq!(event.data_text(), data);
    }
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn what_the_log_does_not_have_any_more_is_counted() {
    let redis = RedisServer::start().await;
    let proxy = TcpProxy::start(&[redis.authority()]).await;
    // The log is what is lost here, not the node.
    let builder = nodes(&redis).nodes(1).set("cluster.node_timeout", 60);
    let mut cluster = or_skip!(builder.start().await);
    let url = format!("redis://{}/0", proxy.authority());
    let apart = cluster.add_at(&url).await;
    cluster.wait_until_ready().await;
    let name = channel_name("private-");
    let mut client = cluster[apart].connect().await;
    client.subscribe(&name).await;
    let publish = async |count: usize| {
        for _ in 0..count {
            let event = PublishedEvent::new(&name, "x", "");
            cluster[0].publish(event).await;
        }
    };
    publish(1).await;
    client.expect_event_on(&name, "x").await;
    proxy.cut();
    eventually("the node to know that it is cut off", || async {
        (figure(&cluster[apart], "connected").await == 0.0).then_some(())
    })
    .await;
    publish(7).await;
    wait_until_nothing_waits(&cluster[0]).await;
    let mut command = redis::cmd("XTRIM");
    command.arg(format!("{PREFIX}{{10001:{name}}}:log"));
    command.arg("MAXLEN").arg(2);
    let trimmed: usize = redis.command(&command).await;
    assert!(trimmed >= 5);
    proxy.restore();
    cluster.wait_until_ready().await;
    for _ in 0..2 {
        client.expect_event_on(&name, "x").await;
    }
    let metrics = cluster[apart].metrics().await;
    let labels = [("reason", "expired"), ("kind", "private")];
    let lost = metrics.sum("fanfare_cluster_events_lost_total", &labels);
    assert_eq!(lost, 5.0);
    finish(cluster, &redis).await;
    drop(proxy);
}
