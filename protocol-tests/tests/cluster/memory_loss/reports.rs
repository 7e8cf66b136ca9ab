//! Webhooks are sent nothing of what Redis has forgotten and is given again.

use protocol_tests::cluster::NODE_TIMEOUT;
use protocol_tests::{
    AppConfig, Cluster, Receiver, RedisServer, Skipped, TcpProxy, WebhookEvent, eventually, or_skip,
};
use serde_json::{Value, json};

use super::wait_for_nodes;
use crate::support::{app, channel_name, figure, finish, member, wait_for_users};

/// What webhooks are sent.
const REPORTED: [&str; 4] = [
    "channel_occupied",
    "channel_vacated",
    "member_added",
    "member_removed",
];

/// The default, in seconds. What is asserted ends with it: a node that is late by more than the time of other tests, on
/// a machine that has too much to do, counts as dead, and webhooks may then be sent again what it had reported.
const PATIENT: u32 = 6;

async fn start_reporting() -> Result<(Receiver, RedisServer, Cluster), Skipped> {
    start_reporting_within(NODE_TIMEOUT).await
}

/// `node_timeout`: seconds without a heartbeat after which a node counts as dead.
async fn start_reporting_within(
    node_timeout: u32,
) -> Result<(Receiver, RedisServer, Cluster), Skipped> {
    let receiver = Receiver::start(&[&AppConfig::new("10001").app()]).await;
    receiver.expect_several_senders();
    let redis = RedisServer::start().await;
    let cluster = Cluster::builder(redis.url())
        .app(app().webhook(receiver.webhook(&REPORTED)))
        .set("webhooks.leave_delay_ms", 50)
        .set("cluster.node_timeout", node_timeout)
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

/// A dump that lacks so little that no heartbeat need have come in between.
#[tokio::test]
async fn who_has_left_since_a_dump_that_is_a_moment_old_is_not_reported_again() {
    let (mut receiver, mut redis, cluster) = or_skip!(start_reporting().await);
    let channel = channel_name("presence-");
    let stays = member(&cluster[0], &channel, "ann").await;
    let leaver = member(&cluster[0], &channel, "bob").await;
    let come = [
        report("channel_occupied", &channel, None),
        report("member_added", &channel, Some("ann")),
        report("member_added", &channel, Some("bob")),
    ];
    expect_reports(&mut receiver, &channel, &come).await;
    redis.save().await;
    drop(leaver);
    let gone = report("member_removed", &channel, Some("bob"));
    expect_reports(&mut receiver, &channel, &[gone]).await;
    redis.kill().await;
    redis.restart_as_saved().await;
    cluster.wait_until_ready().await;
    wait_for_users(&cluster, &channel, &["ann".to_owned()]).await;
    drop(stays);
    let ends = [
        report("member_removed", &channel, Some("ann")),
        report("channel_vacated", &channel, None),
    ];
    expect_reports(&mut receiver, &channel, &ends).await;
    receiver.expect_nothing_more();
    finish(cluster, &redis).await;
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
    let (mut receiver, redis, cluster) = or_skip!(start_reporting_within(PATIENT).await);
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
