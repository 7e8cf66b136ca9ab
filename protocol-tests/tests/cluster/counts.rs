//! Counts: what the HTTP API, subscribers and limits count is the cluster.

use protocol_tests::client::channel_data;
use protocol_tests::names::unique;
use protocol_tests::{Cluster, Event, RedisServer, Roster, Skipped, WsClient, or_skip};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{
    app, channel_name, finish, member, start, subscriber_of_each, users, wait_for_channel,
    wait_for_users,
};

const COUNT: &str = "pusher_internal:subscription_count";

#[tokio::test]
async fn channel_is_the_same_from_every_node() {
    let (redis, cluster) = or_skip!(start().await);
    let name = channel_name("presence-");
    let empty = json!({"occupied": false, "user_count": 0, "subscription_count": 0});
    let info = "user_count,subscription_count";
    wait_for_channel(&cluster, &name, info, &empty).await;
    let ann = member(&cluster[0], &name, "ann").await;
    let bob = member(&cluster[1], &name, "bob").await;
    let tab = member(&cluster[2], &name, "bob").await;
    let all = json!({"occupied": true, "user_count": 2, "subscription_count": 3});
    wait_for_channel(&cluster, &name, info, &all).await;
    for node in cluster.nodes() {
        assert_eq!(users(node, &name).await, ["ann", "bob"]);
    }
    drop(bob);
    let fewer = json!({"occupied": true, "user_count": 2, "subscription_count": 2});
    wait_for_channel(&cluster, &name, info, &fewer).await;
    drop(tab);
    wait_for_users(&cluster, &name, &["ann".to_owned()]).await;
    drop(ann);
    wait_for_channel(&cluster, &name, info, &empty).await;
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn list_of_channels_is_the_same_from_every_node() {
    let (redis, cluster) = or_skip!(start().await);
    let mark = unique("presence-listed-");
    let mut members = Vec::new();
    let mut expected = serde_json::Map::new();
    for (number, node) in cluster.nodes().enumerate() {
        // One channel that only this node has, and one that all of them share.
        for name in [format!("{mark}-{number}"), format!("{mark}-all")] {
            members.push(member(node, &name, &format!("u{number}")).await);
        }
        let own = json!({"user_count": 1, "subscription_count": 1});
        expected.insert(format!("{mark}-{number}"), own);
    }
    let shared = json!({"user_count": 3, "subscription_count": 3});
    expected.insert(format!("{mark}-all"), shared);
    let query = [
        ("filter_by_prefix", mark.as_str()),
        ("info", "user_count,subscription_count"),
    ];
    for node in cluster.nodes() {
        let answer = node.get("/channels", &query).await;
        assert_eq!(answer, json!({ "channels": expected }));
    }
    drop(members);
    for position in cluster.positions() {
        protocol_tests::eventually("the list to be empty", || async {
            let answer = cluster[position].get("/channels", &query).await;
            (answer == json!({"channels": {}})).then_some(())
        })
        .await;
    }
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn channel_without_members_is_occupied_by_subscribers_of_any_node() {
    let (redis, cluster) = or_skip!(start().await);
    let name = channel_name("private-");
    let clients = subscriber_of_each(&cluster, &name).await;
    let all = json!({"occupied": true, "subscription_count": 3});
    wait_for_channel(&cluster, &name, "subscription_count", &all).await;
    drop(clients);
    let none = json!({"occupied": false, "subscription_count": 0});
    wait_for_channel(&cluster, &name, "subscription_count", &none).await;
    finish(cluster, &redis).await;
}

/// Takes counts until this one has come; nothing else may.
async fn counts_until(client: &mut WsClient, channel: &str, last: u64) {
    let is_last = |event: &Event| {
        assert_eq!(event.name, COUNT, "{}", event.text);
        assert_eq!(event.channel(), channel, "{}", event.text);
        event.data_json()["subscription_count"] == last
    };
    client.events_until(is_last).await;
}

#[tokio::test]
async fn subscription_counts_count_the_subscribers_of_every_node() {
    let redis = RedisServer::start().await;
    let app = app().set("subscription_count", true);
    let cluster = or_skip!(Cluster::builder(redis.url()).app(app).start().await);
    let channel = channel_name("public-");
    let mut clients: Vec<WsClient> = Vec::new();
    for round in 0..2 {
        for (number, node) in cluster.nodes().enumerate() {
            let mut client = node.connect().await;
            client.subscribe(&channel).await;
            clients.push(client);
            let count = round * 3 + number as u64 + 1;
            for client in &mut clients {
                counts_until(client, &channel, count).await;
            }
        }
    }
    while let Some(gone) = clients.pop() {
        drop(gone);
        let count = clients.len() as u64;
        for client in &mut clients {
            counts_until(client, &channel, count).await;
        }
    }
    finish(cluster, &redis).await;
}

// The limit on members

async fn start_with_members_limited_to(limit: i64) -> Result<(RedisServer, Cluster), Skipped> {
    let redis = RedisServer::start().await;
    let app = app().limit("presence_members", limit);
    let cluster = Cluster::builder(redis.url()).app(app).start().await?;
    Ok((redis, cluster))
}

/// Asks to join, and returns the answer: success or an error.
async fn join(client: &mut WsClient, channel: &str, user_id: &str) -> Event {
    let channel_data = channel_data(user_id, Value::Null);
    client
        .send_signed_subscribe(channel, Some(&channel_data))
        .await;
    let event = client.next_event().await;
    assert_eq!(event.channel(), channel, "{}", event.text);
    event
}

fn is_full(answer: &Event) -> bool {
    if answer.name == "pusher:subscription_error" {
        assert_eq!(answer.data["type"], "LimitReached", "{}", answer.text);
        return true;
    }
    assert_eq!(answer.name, "pusher_internal:subscription_succeeded");
    false
}

#[tokio::test]
async fn members_of_every_node_count_towards_the_limit() {
    let (redis, cluster) = or_skip!(start_with_members_limited_to(3).await);
    let channel = channel_name("presence-");
    let mut members = Vec::new();
    for (number, node) in cluster.nodes().enumerate() {
        members.push(member(node, &channel, &format!("u{number}")).await);
    }
    for node in cluster.nodes() {
        let mut late = node.connect().await;
        assert!(is_full(&join(&mut late, &channel, "late").await));
        let mut tab = node.connect().await;
        assert!(!is_full(&join(&mut tab, &channel, "u0").await));
    }
    let expected: Vec<String> = (0..3).map(|number| format!("u{number}")).collect();
    wait_for_users(&cluster, &channel, &expected).await;
    drop(members.pop());
    wait_for_users(&cluster, &channel, &expected[..2]).await;
    let mut late = cluster[0].connect().await;
    let answer = join(&mut late, &channel, "late").await;
    assert!(!is_full(&answer), "{}", answer.text);
    let roster = Roster::parse(&answer.data_json());
    assert_eq!(roster.ids, ["late", "u0", "u1"]);
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn joins_on_every_node_at_once_do_not_get_past_the_limit() {
    let (redis, cluster) = or_skip!(start_with_members_limited_to(5).await);
    for _ in 0..5 {
        let channel = channel_name("presence-");
        let mut joins = JoinSet::new();
        for number in 0..12 {
            let mut client = cluster[number % 3].connect().await;
            let channel = channel.clone();
            joins.spawn(async move {
                let answer = join(&mut client, &channel, &format!("u{number}")).await;
                (client, is_full(&answer))
            });
        }
        let joined = joins.join_all().await;
        let refused = joined.iter().filter(|(_, is_full)| *is_full).count();
        assert_eq!(refused, 12 - 5);
        assert_eq!(users(&cluster[0], &channel).await.len(), 5);
    }
    finish(cluster, &redis).await;
}
