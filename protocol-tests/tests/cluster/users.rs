//! Users: signed in on whatever node, they are the cluster's.

use protocol_tests::names::unique;
use protocol_tests::{Cluster, PublishedEvent, RedisServer, Request, Skipped, WsClient, or_skip};
use serde_json::{Value, json};

use crate::support::{app, expect_nothing, finish, signed_in, start};

/// Asks a node to do something to a user.
async fn order(cluster: &Cluster, node: usize, user: &str, what: &str) {
    let path = format!("/users/{user}/{what}");
    let request = Request::post(cluster.app(), &path).json(&json!({}));
    let answer = cluster[node].request(&request).await.expect_status(200);
    assert_eq!(answer.json(), json!({}));
}

#[tokio::test]
async fn connections_of_a_user_are_closed_on_every_node_and_no_others() {
    let (redis, cluster) = or_skip!(start().await);
    let bystander = unique("other-");
    let mut others = Vec::new();
    for node in cluster.nodes() {
        others.push(signed_in(node, &bystander, &[]).await);
    }
    for (what, code) in [("terminate_connections", 4009), ("force_reconnect", 4200)] {
        for asked in cluster.positions() {
            let user = unique("u-");
            let mut connections = Vec::new();
            for node in cluster.nodes() {
                connections.push(signed_in(node, &user, &[]).await);
                connections.push(signed_in(node, &user, &[]).await);
            }
            order(&cluster, asked, &user, what).await;
            for client in &mut connections {
                client.expect_close_code(code).await;
            }
        }
    }
    expect_nothing(&cluster, &mut others).await;
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn connections_that_channel_data_signed_in_are_closed_by_any_node() {
    let (redis, cluster) = or_skip!(start().await);
    let channel = cluster[0].channel("private-");
    for (what, code) in [("terminate_connections", 4009), ("force_reconnect", 4200)] {
        for asked in cluster.positions() {
            let user = unique("u-");
            let data = json!({"user_id": user, "sign_in": true}).to_string();
            let mut connections = Vec::new();
            for node in cluster.nodes() {
                let mut client = node.connect().await;
                client.send_signed_subscribe(&channel, Some(&data)).await;
                client.expect_subscribed(&channel).await;
                connections.push(client);
            }
            order(&cluster, asked, &user, what).await;
            for client in &mut connections {
                client.expect_close_code(code).await;
            }
        }
    }
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn user_who_comes_back_after_the_order_stays() {
    let (redis, cluster) = or_skip!(start().await);
    let user = unique("u-");
    let mut client = signed_in(&cluster[0], &user, &[]).await;
    order(&cluster, 1, &user, "terminate_connections").await;
    client.expect_close_code(4009).await;
    let mut back = signed_in(&cluster[2], &user, &[]).await;
    cluster.expect_nothing(&mut back).await;
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn event_for_a_user_reaches_each_of_the_users_connections() {
    let (redis, cluster) = or_skip!(start().await);
    let user = unique("u-");
    let channel = format!("#server-to-user-{user}");
    let mut clients = Vec::new();
    for node in cluster.nodes() {
        let mut client = signed_in(node, &user, &[]).await;
        client.send_subscribe(&channel, None, None).await;
        client.expect_subscribed(&channel).await;
        clients.push(client);
    }
    for node in cluster.nodes() {
        node.publish(PublishedEvent::new(&channel, "notice", "x"))
            .await;
        for client in &mut clients {
            client.expect_event_on(&channel, "notice").await;
        }
    }
    expect_nothing(&cluster, &mut clients).await;
    finish(cluster, &redis).await;
}

// Watchlists

/// Three nodes whose app has watchlists, without a grace for who leaves.
async fn start_with_watchlists() -> Result<(RedisServer, Cluster), Skipped> {
    let redis = RedisServer::start().await;
    let app = app().set("watchlist", true).set("watchlist_grace", 0);
    let cluster = Cluster::builder(redis.url()).app(app).start().await?;
    Ok((redis, cluster))
}

/// Takes one message, which must report this status of this user, and of nothing else.
async fn expect_status(client: &mut WsClient, user: &str, status: &str) {
    let event = client
        .expect_event("pusher_internal:watchlist_events")
        .await;
    let data: Value = event.data_json();
    let expected = json!({"events": [{"name": status, "user_ids": [user]}]});
    assert_eq!(data, expected);
}

#[tokio::test]
async fn user_is_online_from_the_first_connection_to_any_node_to_the_last() {
    let (redis, cluster) = or_skip!(start_with_watchlists().await);
    let user = unique("u-");
    let mut watchers = Vec::new();
    for node in cluster.nodes() {
        let mut watcher = signed_in(node, &unique("w-"), &[&user]).await;
        expect_status(&mut watcher, &user, "offline").await;
        watchers.push(watcher);
    }
    for round in 0..5 {
        let first = signed_in(&cluster[round % 3], &user, &[]).await;
        for watcher in &mut watchers {
            expect_status(watcher, &user, "online").await;
        }
        let second = signed_in(&cluster[(round + 1) % 3], &user, &[]).await;
        let mut late = signed_in(&cluster[(round + 2) % 3], &unique("w-"), &[&user]).await;
        expect_status(&mut late, &user, "online").await;
        drop(first);
        expect_nothing(&cluster, &mut watchers).await;
        drop(second);
        for watcher in &mut watchers {
            expect_status(watcher, &user, "offline").await;
        }
        expect_status(&mut late, &user, "offline").await;
    }
    expect_nothing(&cluster, &mut watchers).await;
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn user_who_moves_to_another_node_within_the_grace_was_never_offline() {
    let redis = RedisServer::start().await;
    let app = app().set("watchlist", true).set("watchlist_grace", 10);
    let builder = Cluster::builder(redis.url()).app(app);
    let cluster = or_skip!(builder.start().await);
    let user = unique("u-");
    let mut watcher = signed_in(&cluster[0], &unique("w-"), &[&user]).await;
    expect_status(&mut watcher, &user, "offline").await;
    let mut page = signed_in(&cluster[0], &user, &[]).await;
    expect_status(&mut watcher, &user, "online").await;
    for node in [1, 2, 0, 1] {
        drop(page);
        page = signed_in(&cluster[node], &user, &[]).await;
    }
    cluster.expect_nothing(&mut watcher).await;
    drop(page);
    // The next thing that is sent is the end.
    expect_status(&mut watcher, &user, "offline").await;
    finish(cluster, &redis).await;
}
