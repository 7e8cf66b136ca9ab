//! Several nodes look for themselves.

use std::time::{Duration, Instant};

use protocol_tests::{
    App, Cluster, Event, HttpClient, PublishedEvent, RedisServer, Request, Response, TestServer,
    eventually, or_skip,
};
use serde_json::{Value, json};

use super::server::{DatabaseServer, Kind};
use super::{has_apps, insert, is_up};
use crate::support::{expect_closed, first, second, upgrade};

/// Opens the admin listeners for everything.
const TOKEN: &str = "write-write-write-write";
/// Where nodes let each other know that they have changed apps.
const NOTICES: &str = "fanfare:{apps}";
/// So rarely that a test would not see it.
const RARELY_MS: i64 = 3_600_000;

#[tokio::test]
async fn a_row_is_effective_on_three_nodes_before_long() {
    let database = DatabaseServer::start(Kind::Postgres).await;
    let redis = RedisServer::start().await;
    let cluster = Cluster::builder(redis.url())
        .app(first())
        .set("apps_database.url", database.url());
    let cluster = or_skip!(cluster.nodes(3).start().await);
    for node in cluster.nodes() {
        is_up(node, true).await;
    }
    let app = second().app();
    database.execute(&insert(&second(), "")).await;
    let start = Instant::now();
    for node in cluster.nodes() {
        has_apps(node, 1).await;
    }
    let took = start.elapsed();
    eprintln!("three nodes served the app after {took:?}");
    // Within a second on a machine that has nothing else to do.
    assert!(took < Duration::from_secs(10), "{took:?}");
    let channel = cluster[0].channel("private-");
    let mut clients = Vec::new();
    for node in cluster.nodes() {
        let mut client = node.connect_to(&app).await;
        client.subscribe(&channel).await;
        clients.push(client);
    }
    let event = PublishedEvent::new(&channel, "x", "");
    cluster[1].publish_to(&app, event).await;
    for client in &mut clients {
        client.expect_event_on(&channel, "x").await;
    }
    database
        .execute("UPDATE fanfare_apps SET enabled = 0")
        .await;
    let start = Instant::now();
    for client in &mut clients {
        expect_closed(client, 4003).await;
    }
    let took = start.elapsed();
    eprintln!("three nodes closed its connections after {took:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    cluster.finish().await;
}

/// Changes something over the admin API of a node.
async fn change(node: &TestServer, method: &str, path: &str, body: Option<Value>) -> Response {
    let mut request =
        Request::new(method, path).header("Authorization", &format!("Bearer {TOKEN}"));
    if let Some(body) = body {
        request = request.json(&body);
    }
    let admin = node.admin_endpoint().expect("it has an admin listener");
    let answer = HttpClient::new(admin.clone()).send(&request).await;
    assert!(answer.status < 300, "{method} {path}: {}", answer.text());
    answer
}

/// The code with which the app's clients are refused; None: they are not.
async fn refused_with(node: &TestServer, app: &App) -> Option<u64> {
    let socket = node.open(&upgrade(app)).await;
    let mut socket = socket.expect("handshakes are answered with 101");
    let first = Event::parse(&socket.read_text().await);
    (first.name == "pusher:error")
        .then(|| first.error_code())
        .flatten()
}

/// Waits until the other nodes refuse the app's clients with this code, or take them.
async fn others_answer(cluster: &Cluster, app: &App, code: Option<u64>, what: &str) {
    let start = Instant::now();
    for node in cluster.nodes().skip(1) {
        eventually(&format!("{what} to hold"), || async {
            (refused_with(node, app).await == code).then_some(())
        })
        .await;
    }
    eprintln!(
        "{what}: held on the other nodes after {:?}",
        start.elapsed()
    );
}

/// Waits until so many nodes listen to the notices, and every one has read the database.
async fn are_listening(cluster: &Cluster, redis: &RedisServer) {
    let count = cluster.nodes().count() as u64;
    eventually("the nodes to listen", || async {
        (redis.listeners(NOTICES).await == count).then_some(())
    })
    .await;
    for node in cluster.nodes() {
        is_up(node, true).await;
    }
}

#[tokio::test]
async fn what_the_admin_api_of_one_node_changes_holds_on_the_others_at_once() {
    let database = DatabaseServer::start(Kind::Postgres).await;
    let redis = RedisServer::start().await;
    let cluster = Cluster::builder(redis.url())
        .app(first())
        .set("admin.token", TOKEN)
        .set("apps_database.url", database.url())
        .set("apps_database.poll_ms", RARELY_MS);
    let cluster = or_skip!(cluster.nodes(3).start().await);
    are_listening(&cluster, &redis).await;
    let (here, app) = (&cluster[0], second().app());
    let made = json!({ "id": app.id, "key": app.key, "secret": app.secret });
    change(here, "POST", "/api/apps", Some(made)).await;
    others_answer(&cluster, &app, None, "a new app").await;
    let path = format!("/api/apps/{}", app.id);
    let patch = async |changes: Value| {
        change(here, "PATCH", &path, Some(changes)).await;
    };
    let mut clients = Vec::new();
    for node in cluster.nodes().skip(1) {
        clients.push(node.connect_to(&app).await);
    }
    patch(json!({ "limits": { "max_connections": 1 } })).await;
    others_answer(&cluster, &app, Some(4004), "a lowered limit").await;
    patch(json!({ "limits": { "max_connections": null } })).await;
    others_answer(&cluster, &app, None, "no limit").await;
    let rotated = change(here, "POST", &format!("{path}/rotate"), None).await;
    let rotated = rotated.json();
    let text = |name: &str| rotated["settings"][name].as_str().expect("a text");
    let newer = app.with_pair(text("key"), text("secret"));
    others_answer(&cluster, &newer, None, "a new key pair").await;
    let key = format!("{path}/keys/{}", app.key);
    change(here, "DELETE", &key, None).await;
    others_answer(&cluster, &app, Some(4001), "a removed key").await;
    patch(json!({ "enabled": false })).await;
    for client in &mut clients {
        expect_closed(client, 4003).await;
    }
    others_answer(&cluster, &newer, Some(4003), "a disabled app").await;
    change(here, "DELETE", &path, None).await;
    others_answer(&cluster, &newer, Some(4001), "a deleted app").await;
    cluster.finish().await;
}

#[tokio::test]
async fn notices_of_strangers_make_no_more_than_a_look_now_and_then() {
    let database = DatabaseServer::start(Kind::Sqlite).await;
    let redis = RedisServer::start().await;
    let cluster = Cluster::builder(redis.url())
        .app(first())
        .set("apps_database.url", database.url())
        .set("apps_database.poll_ms", RARELY_MS);
    let cluster = or_skip!(cluster.nodes(1).start().await);
    are_listening(&cluster, &redis).await;
    let looks = async || {
        let metrics = cluster[0].metrics().await;
        metrics.sum("fanfare_apps_database_looks_total", &[])
    };
    let (start, before) = (Instant::now(), looks().await);
    let long = "x".repeat(1000);
    let notices: Vec<(&str, &str)> = ["", "no notice", &long]
        .iter()
        .cycle()
        .take(5000)
        .map(|content| (NOTICES, *content))
        .collect();
    assert_eq!(redis.publish_all(&notices).await, 5000);
    eventually("a look", || async {
        (looks().await > before).then_some(())
    })
    .await;
    let made = looks().await - before;
    // One every 50 ms at most.
    let most = start.elapsed().as_secs_f64() / 0.05 + 2.0;
    assert!(made <= most, "{made} looks, and no more than {most}");
    database.execute(&insert(&second(), "")).await;
    redis.publish(NOTICES, "").await;
    has_apps(&cluster[0], 1).await;
    cluster.finish().await;
}
