//! While Redis is away, each node does what it can by itself; afterwards all is made good.

use protocol_tests::cluster::PREFIX;
use protocol_tests::{Cluster, PublishedEvent, RedisServer, Request, or_skip};

use crate::roster::{Member, users_of};
use crate::stream::{Listener, Stream};
use crate::support::{
    channel_name, expect_nothing, figure, finish, nodes, start, subscriber_of_each,
    wait_for_figure, wait_for_users, wait_until_nothing_waits,
};

/// Kills Redis, and waits until every node knows.
async fn take_away(redis: &mut RedisServer, cluster: &Cluster) {
    redis.kill().await;
    for node in cluster.nodes() {
        protocol_tests::eventually("the node to know that Redis is away", || async {
            (figure(node, "connected").await == 0.0).then_some(())
        })
        .await;
    }
}

/// Starts Redis again, empty, and waits until every node is ready.
async fn bring_back(redis: &mut RedisServer, cluster: &Cluster) {
    redis.restart().await;
    cluster.wait_until_ready().await;
}

#[tokio::test]
async fn event_is_delivered_at_once_on_its_node_and_later_on_the_others() {
    let (mut redis, cluster) = or_skip!(start().await);
    let channel = channel_name("private-");
    let mut clients = subscriber_of_each(&cluster, &channel).await;
    take_away(&mut redis, &cluster).await;
    cluster[0]
        .publish(PublishedEvent::new(&channel, "published", "x"))
        .await;
    clients[0].expect_event_on(&channel, "published").await;
    clients[1]
        .send_client_event(&channel, "client-sent", "y".into())
        .await;
    let mut neighbour = cluster[0].connect().await;
    neighbour.subscribe(&channel).await;
    bring_back(&mut redis, &cluster).await;
    clients[0].expect_event_on(&channel, "client-sent").await;
    clients[1].expect_event_on(&channel, "published").await;
    let mut seen: Vec<String> = Vec::new();
    for event in clients[2].next_events(2).await {
        seen.push(event.name);
    }
    seen.sort();
    assert_eq!(seen, ["client-sent", "published"]);
    expect_nothing(&cluster, &mut clients).await;
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn join_is_answered_from_what_is_known_and_announced_elsewhere_later() {
    let (mut redis, cluster) = or_skip!(start().await);
    let channel = channel_name("presence-");
    let mut ann = Member::of(&cluster[0], &channel, "ann").await;
    let mut bob = Member::of(&cluster[1], &channel, "bob").await;
    let eve = Member::of(&cluster[1], &channel, "eve").await;
    let three = users_of(["ann", "bob", "eve"].map(str::to_owned));
    for member in [&mut ann, &mut bob] {
        member.until(&three).await;
    }
    take_away(&mut redis, &cluster).await;

    let mut joined = Member::of(&cluster[0], &channel, "joined-0").await;
    let known = users_of(["ann", "bob", "eve", "joined-0"].map(str::to_owned));
    assert_eq!(joined.believed, known);
    ann.until(&known).await;
    let second = Member::of(&cluster[0], &channel, "joined-too").await;
    let mut with_second = known.clone();
    with_second.extend(users_of(["joined-too".to_owned()]));
    assert_eq!(second.believed, with_second);
    // Comes and goes while nobody else can know.
    drop(second);
    joined.until(&with_second).await;
    joined.until(&known).await;
    ann.until(&known).await;
    drop(eve);
    let mut elsewhere = Member::of(&cluster[1], &channel, "joined-1").await;
    let mut stranger = Member::of(&cluster[2], &channel, "joined-2").await;

    bring_back(&mut redis, &cluster).await;
    let ids = ["ann", "bob", "joined-0", "joined-1", "joined-2"].map(str::to_owned);
    let truth = users_of(ids.clone());
    for member in [
        &mut ann,
        &mut bob,
        &mut joined,
        &mut elsewhere,
        &mut stranger,
    ] {
        member.until(&truth).await;
    }
    wait_for_users(&cluster, &channel, &ids).await;
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn subscriptions_made_while_redis_is_away_work_afterwards() {
    let (mut redis, cluster) = or_skip!(start().await);
    take_away(&mut redis, &cluster).await;
    let channel = channel_name("public-");
    let mut clients = subscriber_of_each(&cluster, &channel).await;
    bring_back(&mut redis, &cluster).await;
    // The node is ready again before every channel must be.
    let all = serde_json::json!({"occupied": true, "subscription_count": 3});
    crate::support::wait_for_channel(&cluster, &channel, "subscription_count", &all).await;
    for node in cluster.nodes() {
        node.publish(PublishedEvent::new(&channel, "x", "y")).await;
        for client in &mut clients {
            client.expect_event_on(&channel, "x").await;
        }
    }
    expect_nothing(&cluster, &mut clients).await;
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn publishes_beyond_the_backlog_are_refused_and_those_within_arrive() {
    let mut redis = RedisServer::start().await;
    let builder = nodes(&redis).set("cluster.backlog_bytes", 100_000);
    let cluster = or_skip!(builder.start().await);
    let channel = channel_name("public-");
    let mut clients = subscriber_of_each(&cluster, &channel).await;
    take_away(&mut redis, &cluster).await;
    let mut accepted = 0;
    let refusal = loop {
        let data = format!("{accepted} {}", "x".repeat(5000));
        let event = PublishedEvent::new(&channel, "large", data);
        let request = Request::post(cluster.app(), "/events").json(event.body());
        let answer = cluster[0].request(&request).await;
        if answer.status != 200 {
            break answer.expect_status(503);
        }
        accepted += 1;
        assert!(accepted < 100, "the backlog has no end");
    };
    let after: Option<u64> = refusal
        .header("retry-after")
        .and_then(|seconds| seconds.parse().ok());
    assert!(after.is_some_and(|seconds| seconds > 0), "{refusal:?}");
    assert!(accepted >= 5, "only {accepted} fitted into 100,000 bytes");
    let backlog = figure(&cluster[0], "backlog_bytes").await;
    assert!((25_000.0..=100_000.0).contains(&backlog), "{backlog}");
    // Another node has a backlog of its own.
    cluster[1]
        .publish(PublishedEvent::new(&channel, "small", ""))
        .await;

    bring_back(&mut redis, &cluster).await;
    for (position, client) in clients.iter_mut().enumerate() {
        let mut next = 0;
        let mut small = 0;
        for event in client.next_events(accepted + 1).await {
            if event.name == "small" {
                small += 1;
                continue;
            }
            let text = event.data_text();
            assert!(
                text.starts_with(&format!("{next} ")),
                "{next}: {}",
                &text[..9]
            );
            next += 1;
        }
        assert_eq!((next, small), (accepted, 1), "on node {position}");
    }
    cluster[0]
        .publish(PublishedEvent::new(&channel, "again", ""))
        .await;
    for client in &mut clients {
        client.expect_event_on(&channel, "again").await;
    }
    expect_nothing(&cluster, &mut clients).await;
    wait_until_nothing_waits(&cluster[0]).await;
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn stream_that_outgrows_the_backlog_loses_what_was_refused_and_nothing_else() {
    let mut redis = RedisServer::start().await;
    // A few dozen events: more would take long on a slow machine.
    let builder = nodes(&redis).set("cluster.backlog_bytes", 8_000);
    let cluster = or_skip!(builder.start().await);
    let channel = channel_name("public-");
    let mut listeners = Vec::new();
    for client in subscriber_of_each(&cluster, &channel).await {
        listeners.push(Listener::start(client, &channel));
    }
    let stream = Stream::start(&cluster[0], &channel);
    stream.go_on(20).await;
    take_away(&mut redis, &cluster).await;
    protocol_tests::eventually("publishes to be refused", || async {
        (stream.refused() > 5).then_some(())
    })
    .await;
    bring_back(&mut redis, &cluster).await;
    stream.go_on(50).await;
    let accepted = stream.stop().await;
    for listener in listeners {
        listener.expect(&accepted).await;
    }
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn last_event_of_a_cache_is_known_again_when_redis_comes_back_empty() {
    let (mut redis, cluster) = or_skip!(start().await);
    let channel = channel_name("cache-");
    let mut clients = subscriber_of_each(&cluster, &channel).await;
    take_away(&mut redis, &cluster).await;
    cluster[0]
        .publish(PublishedEvent::new(&channel, "while-away", "x"))
        .await;
    bring_back(&mut redis, &cluster).await;
    for client in &mut clients {
        client.expect_event_on(&channel, "while-away").await;
    }
    for node in cluster.nodes() {
        let mut late = node.connect().await;
        late.subscribe(&channel).await;
        late.expect_event_on(&channel, "while-away").await;
    }
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn node_that_is_stopped_while_redis_is_away_ends() {
    let (mut redis, mut cluster) = or_skip!(start().await);
    let channel = channel_name("presence-");
    let mut ann = Member::of(&cluster[0], &channel, "ann").await;
    let mut bob = Member::of(&cluster[1], &channel, "bob").await;
    let both = users_of(["ann", "bob"].map(str::to_owned));
    for member in [&mut ann, &mut bob] {
        member.until(&both).await;
    }
    take_away(&mut redis, &cluster).await;
    let leaving = tokio::spawn(async move { bob.client.expect_close().await });
    cluster.stop(1).await;
    leaving.await.unwrap();
    bring_back(&mut redis, &cluster).await;
    ann.until(&users_of(["ann".to_owned()])).await;
    wait_for_users(&cluster, &channel, &["ann".to_owned()]).await;
    wait_for_figure(&cluster[0], "nodes", 2.0).await;
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn channels_that_were_left_meanwhile_are_struck_from_the_nodes_list() {
    let (redis, cluster) = or_skip!(start().await);
    let channel = channel_name("private-");
    let mut clients = subscriber_of_each(&cluster, &channel).await;
    for id in redis.clients().await {
        redis.close_client(&id).await;
    }
    for client in &mut clients {
        client.unsubscribe(&channel).await;
    }
    cluster.wait_until_ready().await;
    protocol_tests::eventually("the lists to be empty", || async {
        let keys = redis.keys(PREFIX).await;
        (!keys.iter().any(|key| key.contains("{node:"))).then_some(())
    })
    .await;
    finish(cluster, &redis).await;
}
