//! What several topics share.

use protocol_tests::cluster::{ClusterBuilder, PREFIX};
use protocol_tests::names::unique;
use protocol_tests::request::percent_encode;
use protocol_tests::{
    AppConfig, Cluster, RedisServer, Request, Skipped, TestServer, WsClient, eventually,
};
use serde_json::{Value, json};

/// Every kind of channel, but for presence among the kinds that keep their last event.
pub(crate) const KINDS: [&str; 6] = [
    "public-",
    "private-",
    "presence-",
    "cache-",
    "private-encrypted-",
    "private-cache-",
];

/// The app `10001`, whose clients may send events at any rate.
pub(crate) fn app() -> AppConfig {
    AppConfig::new("10001").limit("client_events_per_second", 100_000)
}

/// Nodes of the app [`app`] that share this Redis.
pub(crate) fn nodes(redis: &RedisServer) -> ClusterBuilder {
    nodes_at(redis.url())
}

/// Nodes of the app [`app`] that share the Redis at this URL (or these URLs).
pub(crate) fn nodes_at(url: impl Into<toml::Value>) -> ClusterBuilder {
    // Whoever is only to be there reads nothing, and answers no pings, for as long as a test takes.
    Cluster::builder(url)
        .app(app())
        .set("server.activity_timeout", 600)
}

/// Three nodes of the app [`app`], and their Redis.
pub(crate) async fn start() -> Result<(RedisServer, Cluster), Skipped> {
    let redis = RedisServer::start().await;
    let cluster = nodes(&redis).start().await?;
    Ok((redis, cluster))
}

/// Ends a test: nothing may be left of it on the nodes, and nothing in Redis that has no expiry.
pub(crate) async fn finish(cluster: Cluster, redis: &RedisServer) {
    cluster.finish().await;
    redis.expect_nothing_lasting(PREFIX).await;
}

// Clients

/// Subscribes to a channel of any kind, everybody as the same user, and takes the miss of a cache that is empty.
pub(crate) async fn subscribe(client: &mut WsClient, channel: &str) {
    if channel.starts_with("presence-") {
        client.subscribe_presence(channel, "u", json!({})).await;
    } else {
        client.subscribe(channel).await;
    }
    if channel.contains("cache-") {
        client.expect_event_on(channel, "pusher:cache_miss").await;
    }
}

/// A client of each node, subscribed to this channel.
pub(crate) async fn subscriber_of_each(cluster: &Cluster, channel: &str) -> Vec<WsClient> {
    let mut clients = Vec::new();
    for node in cluster.nodes() {
        let mut client = node.connect().await;
        subscribe(&mut client, channel).await;
        clients.push(client);
    }
    clients
}

/// A client on this presence channel.
pub(crate) async fn member(node: &TestServer, channel: &str, user_id: &str) -> WsClient {
    let mut client = node.connect().await;
    client
        .subscribe_presence(channel, user_id, info_of(user_id))
        .await;
    client
}

/// The user_info of every user whose roster is checked.
pub(crate) fn info_of(user_id: &str) -> Value {
    json!({"name": format!("Name of {user_id}")})
}

/// A client signed in as this user, who watches these.
pub(crate) async fn signed_in(node: &TestServer, user_id: &str, watchlist: &[&str]) -> WsClient {
    let mut client = node.connect().await;
    let user_data = json!({"id": user_id, "watchlist": watchlist});
    client.sign_in_with(&user_data.to_string()).await;
    client
}

/// Asserts that none of these clients got anything more.
pub(crate) async fn expect_nothing(cluster: &Cluster, clients: &mut [WsClient]) {
    for client in clients {
        cluster.expect_nothing(client).await;
    }
}

// The HTTP API

/// What a node answers; `None` while it refuses: one that finds out that Redis has forgotten it does until it is known
/// again.
async fn try_ask(node: &TestServer, question: &Request) -> Option<Value> {
    let answer = node.request(question).await;
    (answer.status != 503).then(|| answer.expect_status(200).json())
}

/// What a node answers about a channel.
pub(crate) async fn channel(node: &TestServer, channel: &str, info: &str) -> Value {
    let answer = node.request(&ask_for_channel(node, channel, info)).await;
    answer.expect_status(200).json()
}

fn ask_for_channel(node: &TestServer, channel: &str, info: &str) -> Request {
    let path = format!("/channels/{}", percent_encode(channel));
    Request::get(node.app(), &path).query("info", info)
}

/// Waits until every node answers this about a channel.
pub(crate) async fn wait_for_channel(cluster: &Cluster, name: &str, info: &str, expected: &Value) {
    for position in cluster.positions() {
        let node = &cluster[position];
        let what = format!("node {position} to answer for {name}: {expected}");
        eventually(&what, || async {
            let question = ask_for_channel(node, name, info);
            (try_ask(node, &question).await.as_ref() == Some(expected)).then_some(())
        })
        .await;
    }
}

/// The users that are present to a node, sorted.
pub(crate) async fn users(node: &TestServer, channel: &str) -> Vec<String> {
    let answer = node.request(&ask_for_users(node, channel)).await;
    sorted_ids(&answer.expect_status(200).json())
}

fn ask_for_users(node: &TestServer, channel: &str) -> Request {
    let path = format!("/channels/{}/users", percent_encode(channel));
    Request::get(node.app(), &path)
}

fn sorted_ids(answer: &Value) -> Vec<String> {
    let users = answer["users"].as_array().expect("users is a list");
    let mut ids: Vec<String> = users
        .iter()
        .map(|user| user["id"].as_str().expect("an id is a string").to_owned())
        .collect();
    ids.sort();
    ids
}

/// Waits until these users are present to every node, which must be sorted.
pub(crate) async fn wait_for_users(cluster: &Cluster, channel: &str, expected: &[String]) {
    for position in cluster.positions() {
        let node = &cluster[position];
        let what = format!("node {position} to list {} users", expected.len());
        eventually(&what, || async {
            let answer = try_ask(node, &ask_for_users(node, channel)).await?;
            (sorted_ids(&answer) == expected).then_some(())
        })
        .await;
    }
}

/// The cluster's figure of a node.
pub(crate) async fn figure(node: &TestServer, name: &str) -> f64 {
    let metrics = node.metrics().await;
    let name = format!("fanfare_cluster_{name}");
    assert!(metrics.has(&name), "there is no {name}");
    metrics.sum(&name, &[])
}

/// Waits until a figure of a node is at least `least`.
pub(crate) async fn wait_for_figure(node: &TestServer, name: &str, least: f64) {
    eventually(&format!("{name} to be {least}"), || async {
        (figure(node, name).await >= least).then_some(())
    })
    .await;
}

/// Waits until nothing of a node's waits for Redis: what Redis has taken, and sent to others, counts until the node has read
/// the answer.
pub(crate) async fn wait_until_nothing_waits(node: &TestServer) {
    eventually("nothing to wait for Redis", || async {
        (figure(node, "backlog_bytes").await == 0.0).then_some(())
    })
    .await;
}

/// A channel name that no other test uses.
pub(crate) fn channel_name(prefix: &str) -> String {
    unique(prefix)
}
