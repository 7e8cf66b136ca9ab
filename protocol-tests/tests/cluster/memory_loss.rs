//! Redis loses its memory, or returns with an old one: the nodes make it good, and nobody is sent what did not happen.

use protocol_tests::cluster::PREFIX;
use protocol_tests::{
    AppConfig, Cluster, PublishedEvent, Receiver, RedisServer, Skipped, TcpProxy, TestServer,
    WebhookEvent, WsClient, eventually, or_skip,
};
use serde_json::{Value, json};

use crate::roster::{Member, expect_alive, expect_unchanged, spread_members, users_of};
use crate::stream::Streams;
use crate::support::{
    app, channel, channel_name, expect_nothing, figure, finish, member, nodes, start,
    subscriber_of_each, users, wait_for_channel, wait_for_users,
};

/// What webhooks are sent.
const REPORTED: [&str; 4] = [
    "channel_occupied",
    "channel_vacated",
    "member_added",
    "member_removed",
];

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
    let node = &cluster[0];
    eventually("the node that ended to have left nothing", || async {
        let is_gone = users(node, &presence).await == ["ann"];
        (is_gone && users(node, &alone).await.is_empty()).then_some(())
    })
    .await;
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

// Webhooks

async fn start_reporting() -> Result<(Receiver, RedisServer, Cluster), Skipped> {
    let receiver = Receiver::start(&[&AppConfig::new("10001").app()]).await;
    receiver.expect_several_senders();
    let redis = RedisServer::start().await;
    let cluster = Cluster::builder(redis.url())
        .app(app().webhook(receiver.webhook(&REPORTED)))
        .set("webhooks.leave_delay_ms", 50)
        .start()
        .await?;
    Ok((receiver, redis, cluster))
}

/// Takes the next events on the channel, which must be these in any order.
async fn expect_reports(receiver: &mut Receiver, channel: &str, expected: &[Value]) {
    let mut left = expected.to_vec();
    while !left.is_empty() {
        let event: WebhookEvent = receiver.next_event_on(channel).await;
        let position = left.iter().position(|expected| *expected == event.json);
        let position = position.unwrap_or_else(|| panic!("{event:?} instead of {left:#?}"));
        left.remove(position);
    }
}

fn report(name: &str, channel: &str, user_id: Option<&str>) -> Value {
    let mut report = json!({"name": name, "channel": channel});
    if let Some(user_id) = user_id {
        report["user_id"] = user_id.into();
    }
    report
}

/// A member on each node, and a channel that two of them are on and will leave while Redis is away.
async fn expect_no_reports_of_a_return(saves: bool, is_away: bool) {
    let (mut receiver, mut redis, cluster) = or_skip!(start_reporting().await);
    let presence = channel_name("presence-");
    let left = channel_name("presence-left-");
    let mut members = Vec::new();
    for (node, user_id) in [(0, "ann"), (1, "bob"), (2, "cid")] {
        members.push(member(&cluster[node], &presence, user_id).await);
    }
    let come = [
        report("channel_occupied", &presence, None),
        report("member_added", &presence, Some("ann")),
        report("member_added", &presence, Some("bob")),
        report("member_added", &presence, Some("cid")),
    ];
    expect_reports(&mut receiver, &presence, &come).await;
    let leaver = member(&cluster[0], &left, "dan").await;
    let come = [
        report("channel_occupied", &left, None),
        report("member_added", &left, Some("dan")),
    ];
    expect_reports(&mut receiver, &left, &come).await;
    if saves {
        redis.save().await;
    }
    if is_away {
        redis.kill().await;
        for node in cluster.nodes() {
            eventually("the node to know that Redis is away", || async {
                (figure(node, "connected").await == 0.0).then_some(())
            })
            .await;
        }
    }
    // Who leaves and who comes meanwhile is reported once.
    drop(leaver);
    drop(members.pop());
    members.push(member(&cluster[1], &presence, "eve").await);
    if !is_away {
        redis.flush().await;
    } else if saves {
        redis.restart_as_saved().await;
    } else {
        redis.restart().await;
    }
    cluster.wait_until_ready().await;
    wait_for_nodes(&redis, 3).await;
    let gone = [
        report("member_removed", &left, Some("dan")),
        report("channel_vacated", &left, None),
    ];
    expect_reports(&mut receiver, &left, &gone).await;
    let changed = [
        report("member_removed", &presence, Some("cid")),
        report("member_added", &presence, Some("eve")),
    ];
    expect_reports(&mut receiver, &presence, &changed).await;
    let ids = ["ann", "bob", "eve"].map(str::to_owned);
    wait_for_users(&cluster, &presence, &ids).await;
    // What is left from now on is reported after everything that there was to report of the return.
    drop(members);
    let mut ends = vec![report("channel_vacated", &presence, None)];
    ends.extend(ids.map(|id| report("member_removed", &presence, Some(&id))));
    expect_reports(&mut receiver, &presence, &ends).await;
    receiver.expect_nothing_more();
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn empty_restart_is_reported_to_nobody() {
    expect_no_reports_of_a_return(false, true).await;
}

#[tokio::test]
async fn restart_with_an_old_dump_is_reported_to_nobody() {
    expect_no_reports_of_a_return(true, true).await;
}

#[tokio::test]
async fn flushall_is_reported_to_nobody() {
    expect_no_reports_of_a_return(false, false).await;
}

/// Somebody who is on node 0, and comes to node 1 and leaves it again before node 0 has reported it to Redis: webhooks are sent
/// nothing of that. Somebody who is really new is reported.
async fn expect_doubts_to_be_settled(receiver: &mut Receiver, cluster: &Cluster, channel: &str) {
    let both = member(&cluster[1], channel, "ann").await;
    let fresh = channel_name("presence-fresh-");
    let eve = member(&cluster[1], &fresh, "eve").await;
    drop(both);
    wait_for_users(cluster, channel, &["ann".to_owned()]).await;
    let come = [
        report("channel_occupied", &fresh, None),
        report("member_added", &fresh, Some("eve")),
    ];
    expect_reports(receiver, &fresh, &come).await;
    drop(eve);
    let gone = [
        report("member_removed", &fresh, Some("eve")),
        report("channel_vacated", &fresh, None),
    ];
    expect_reports(receiver, &fresh, &gone).await;
}

/// Ann comes to a channel, and what `act` does with her is reported to nobody.
async fn expect_no_reports_of_ann(
    receiver: &mut Receiver,
    cluster: &Cluster,
    channel: &str,
    act: impl AsyncFnOnce(&mut Receiver),
) {
    let ann = member(&cluster[0], channel, "ann").await;
    let come = [
        report("channel_occupied", channel, None),
        report("member_added", channel, Some("ann")),
    ];
    expect_reports(receiver, channel, &come).await;
    act(receiver).await;
    drop(ann);
    let gone = [
        report("member_removed", channel, Some("ann")),
        report("channel_vacated", channel, None),
    ];
    expect_reports(receiver, channel, &gone).await;
    receiver.expect_nothing_more();
}

#[tokio::test]
async fn who_comes_to_another_node_right_after_flushall_is_not_reported_again() {
    let (mut receiver, redis, cluster) = or_skip!(start_reporting().await);
    for _ in 0..2 {
        let channel = channel_name("presence-");
        let cluster = &cluster;
        expect_no_reports_of_ann(&mut receiver, cluster, &channel, async |receiver| {
            redis.flush().await;
            expect_doubts_to_be_settled(receiver, cluster, &channel).await;
        })
        .await;
    }
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn who_comes_to_the_first_node_that_is_back_is_not_reported_again() {
    let receiver = Receiver::start(&[&AppConfig::new("10001").app()]).await;
    receiver.expect_several_senders();
    let redis = RedisServer::start().await;
    let proxy = TcpProxy::start(&[redis.authority()]).await;
    let builder = Cluster::builder(format!("redis://{}/0", proxy.authority()))
        .app(app().webhook(receiver.webhook(&REPORTED)))
        .set("webhooks.leave_delay_ms", 50);
    let (mut receiver, mut redis) = (receiver, redis);
    let mut cluster = or_skip!(builder.nodes(1).start().await);
    cluster.add_at(&redis.url()).await;
    cluster.wait_until_ready().await;
    let channel = channel_name("presence-");
    {
        let (cluster, redis) = (&cluster, &mut redis);
        expect_no_reports_of_ann(&mut receiver, cluster, &channel, async |receiver| {
            proxy.cut();
            redis.kill().await;
            redis.restart().await;
            eventually("the other node to be back", || async {
                (figure(&cluster[1], "connected").await == 1.0).then_some(())
            })
            .await;
            let both = member(&cluster[1], &channel, "ann").await;
            proxy.restore();
            cluster.wait_until_ready().await;
            drop(both);
            wait_for_users(cluster, &channel, &["ann".to_owned()]).await;
            expect_doubts_to_be_settled(receiver, cluster, &channel).await;
        })
        .await;
    }
    finish(cluster, &redis).await;
    drop(proxy);
}

// What is lost is counted.

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
