//! Presence: every member's roster, kept up by events, is the cluster's.

use std::collections::BTreeMap;

use protocol_tests::names::unique;
use protocol_tests::random::number_from;
use protocol_tests::{AppConfig, Cluster, Receiver, RedisServer, or_skip};
use serde_json::json;
use tokio::task::JoinSet;

use crate::churn::Tabs;
use crate::roster::{Member, users_of};
use crate::support::{app, channel_name, finish, start, wait_for_users};

/// Random joins, leaves and reconnects. PROTOCOL_TESTS_CLUSTER_CHANGES=100000 makes them many more, PROTOCOL_TESTS_SEED
/// repeats a run.
const CHANGES: usize = 1000;

fn user(number: usize) -> String {
    format!("user-{number}")
}

#[tokio::test]
async fn rosters_are_true_after_a_thousand_random_changes_on_three_nodes() {
    let receiver = Receiver::start(&[&AppConfig::new("10001").app()]).await;
    receiver.expect_several_senders();
    let redis = RedisServer::start().await;
    let app = app().webhook(receiver.webhook(&["member_added", "member_removed"]));
    let builder = Cluster::builder(redis.url())
        .app(app)
        .set("webhooks.leave_delay_ms", 50);
    let cluster = or_skip!(builder.start().await);
    let channel = channel_name("presence-");
    let mut tabs = Tabs::new(&channel);
    let changes = number_from("PROTOCOL_TESTS_CLUSTER_CHANGES", CHANGES);
    let mut done = 0;
    while done < changes {
        done += tabs.change_some(&cluster).await;
    }
    let (members, truth) = tabs.settle(&cluster).await;
    let ids: Vec<String> = truth.keys().cloned().collect();
    expect_webhooks_to_add_up(&receiver, &ids).await;
    drop(members);
    finish(cluster, &redis).await;
}

/// Waits until each user was reported to come once more often than to leave, or as often, as is true.
async fn expect_webhooks_to_add_up(receiver: &Receiver, present: &[String]) {
    protocol_tests::eventually("the webhooks to add up", || async {
        let mut balance: BTreeMap<String, i64> = BTreeMap::new();
        for event in receiver.events() {
            let user_id = event.json["user_id"]
                .as_str()
                .expect("it is about a member");
            let change = if event.name == "member_added" { 1 } else { -1 };
            *balance.entry(user_id.to_owned()).or_default() += change;
        }
        balance.retain(|_, balance| *balance != 0);
        let is_true = balance.values().all(|balance| *balance == 1);
        (is_true && balance.keys().eq(present)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn user_comes_with_the_first_tab_on_any_node_and_goes_with_the_last() {
    let (redis, cluster) = or_skip!(start().await);
    let channel = channel_name("presence-");
    let mut watchers = Vec::new();
    for (number, node) in cluster.nodes().enumerate() {
        watchers.push(Member::of(node, &channel, &format!("watcher-{number}")).await);
    }
    let watching = users_of((0..3).map(|number| format!("watcher-{number}")));
    let mut with_ann = watching.clone();
    with_ann.extend(users_of(["ann".to_owned()]));
    for watcher in &mut watchers {
        watcher.until(&watching).await;
        watcher.changes = 0;
    }
    for round in 0..5 {
        let mut tabs = Vec::new();
        for number in 0..3 {
            tabs.push(Member::of(&cluster[(round + number) % 3], &channel, "ann").await);
        }
        for watcher in &mut watchers {
            watcher.until(&with_ann).await;
        }
        tabs.pop();
        drop(tabs.remove(0).leave().await);
        let count = json!({"occupied": true, "user_count": 4, "subscription_count": 4});
        let info = "user_count,subscription_count";
        crate::support::wait_for_channel(&cluster, &channel, info, &count).await;
        for watcher in &mut watchers {
            let seen = cluster.fence_on(&mut watcher.client, &channel).await;
            assert!(seen.is_empty(), "{seen:?}");
        }
        drop(tabs);
        for watcher in &mut watchers {
            watcher.until(&watching).await;
        }
    }
    for watcher in &watchers {
        assert_eq!(
            watcher.changes, 10,
            "each round is one arrival and one departure"
        );
    }
    drop(watchers);
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn members_that_join_at_once_on_three_nodes_learn_of_every_other() {
    let (redis, cluster) = or_skip!(start().await);
    for _ in 0..5 {
        let channel = channel_name("presence-");
        let mut joins = JoinSet::new();
        for number in 0..15 {
            let client = cluster[number % 3].connect().await;
            let channel = channel.clone();
            joins.spawn(async move { Member::join(client, &channel, &user(number)).await });
        }
        let everybody = users_of((0..15).map(user));
        let mut members = joins.join_all().await;
        for member in &mut members {
            member.until(&everybody).await;
        }
        for member in &mut members {
            let seen = cluster.fence_on(&mut member.client, &channel).await;
            assert!(seen.is_empty(), "{seen:?}");
        }
    }
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn user_who_moves_from_node_to_node_is_there_once_or_not_at_all() {
    // Whether the move is seen depends on how fast it is; that each roster stays true does not.
    let (redis, cluster) = or_skip!(start().await);
    let channel = channel_name("presence-");
    let mut watcher = Member::of(&cluster[0], &channel, "watcher").await;
    let mut page = Member::of(&cluster[0], &channel, "ann").await;
    for round in 1..40 {
        let next = cluster[round % 3].connect().await;
        drop(page);
        page = Member::join(next, &channel, "ann").await;
    }
    let both = users_of(["watcher", "ann"].map(str::to_owned));
    watcher.until(&both).await;
    let ids: Vec<String> = both.keys().cloned().collect();
    wait_for_users(&cluster, &channel, &ids).await;
    let last = unique("last-");
    cluster[1]
        .publish(protocol_tests::PublishedEvent::new(&channel, &last, ""))
        .await;
    watcher.until_event(&last).await;
    watcher.until(&both).await;
    finish(cluster, &redis).await;
}
