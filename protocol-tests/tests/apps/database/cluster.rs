//! Several nodes look for themselves.

use std::time::{Duration, Instant};

use protocol_tests::{Cluster, PublishedEvent, RedisServer, or_skip};

use super::server::{DatabaseServer, Kind};
use super::{has_apps, insert, is_up};
use crate::support::{expect_closed, first, second};

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
