//! A node reads what it missed over a slow link, to the end and without disturbing anybody.

use protocol_tests::cluster::PREFIX;
use protocol_tests::{App, HttpClient, RedisServer, Request, TcpProxy, TestServer, or_skip};
use protocol_tests::{eventually, within};
use serde_json::{Value, json};

use crate::stream::Streams;
use crate::support::{channel_name, expect_nothing, figure, finish, nodes};

/// Bytes a second of the slow link.
const RATE: u32 = 3_000_000;
pub(crate) const DATA: usize = 8_000;
pub(crate) const BATCH: usize = 10;

/// Publishes so many events, each with its number and much behind it.
pub(crate) async fn publish_large(app: App, mut http: HttpClient, channel: String, count: usize) {
    let padding = "x".repeat(DATA);
    for first in (0..count).step_by(BATCH) {
        let batch: Vec<Value> = (first..first + BATCH)
            .map(|number| {
                let data = format!("{number} {padding}");
                json!({"channel": channel, "name": "large", "data": data})
            })
            .collect();
        let request = Request::post(&app, "/batch_events").json(&json!({ "batch": batch }));
        http.send(&request).await.expect_status(200);
    }
}

async fn unready(node: &TestServer) {
    eventually("the node to know that Redis is away", || async {
        (figure(node, "connected").await == 0.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn slow_link_loses_nothing_and_nobody_else_notices() {
    const COUNT: usize = 500;
    let redis = RedisServer::start().await;
    let proxy = TcpProxy::start(&[redis.authority()]).await;
    let builder = nodes(&redis).set("cluster.node_timeout", 30);
    let mut cluster = or_skip!(builder.nodes(2).start().await);
    let healthy = redis.clients().await;
    let url = format!("redis://{}/0", proxy.authority());
    cluster.add_at(&url).await;
    cluster.wait_until_ready().await;
    let channels: Vec<String> = (0..4).map(|_| channel_name("public-")).collect();
    let mut clients = Vec::new();
    for channel in &channels {
        let mut client = cluster[2].connect().await;
        client.subscribe(channel).await;
        clients.push(client);
    }

    proxy.cut();
    unready(&cluster[2]).await;
    let publishing = channels.iter().map(|channel| {
        let (app, http) = (cluster.app().clone(), cluster[0].http());
        tokio::spawn(publish_large(app, http, channel.clone(), COUNT))
    });
    for publisher in publishing.collect::<Vec<_>>() {
        within("the publisher to end", publisher).await.unwrap();
    }
    proxy.restore();
    proxy.limit(RATE);
    cluster.wait_until_ready().await;
    let streams = Streams::start(&cluster).await;

    for client in &mut clients {
        for number in 0..COUNT {
            let event = client.expect_event("large").await;
            let text = event.data_text();
            let found = text.split(' ').next();
            assert_eq!(found, Some(number.to_string().as_str()));
        }
    }
    streams.go_on(10).await;
    streams.finish().await;
    let now = redis.clients().await;
    for client in &healthy {
        assert!(now.contains(client), "a link was lost that is not slow");
    }
    assert_eq!(figure(&cluster[2], "events_missed_total").await, 0.0);
    expect_nothing(&cluster, &mut clients).await;
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn log_keeps_no_more_bytes_than_it_may() {
    const MOST: u32 = 200_000;
    let redis = RedisServer::start().await;
    let builder = nodes(&redis).set("cluster.log_bytes", MOST);
    let cluster = or_skip!(builder.nodes(2).start().await);
    let channel = channel_name("public-");
    let mut clients = Vec::new();
    for node in cluster.nodes() {
        let mut client = node.connect().await;
        client.subscribe(&channel).await;
        clients.push(client);
    }
    const COUNT: usize = 100;
    publish_large(
        cluster.app().clone(),
        cluster[0].http(),
        channel.clone(),
        COUNT,
    )
    .await;
    for client in &mut clients {
        for _ in 0..COUNT {
            client.expect_event_on(&channel, "large").await;
        }
    }
    let keys = redis.keys(PREFIX).await;
    let log = keys.iter().find(|key| key.ends_with(":log"));
    let log = log.expect("the channel has a log");
    let bytes: u32 = redis
        .command(redis::cmd("MEMORY").arg("USAGE").arg(log))
        .await;
    // An entry holds a batch; what is sent apart from it is small.
    assert!((MOST / 2..MOST * 3 / 2).contains(&bytes), "{bytes}");
    assert!(figure(&cluster[0], "log_evictions_total").await > 0.0);
    expect_nothing(&cluster, &mut clients).await;
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn all_channels_are_listed_by_every_node_however_many_they_are() {
    const COUNT: usize = 700;
    let redis = RedisServer::start().await;
    let cluster = or_skip!(nodes(&redis).nodes(2).start().await);
    let prefix = channel_name("public-");
    let mut client = cluster[0].connect().await;
    for number in 0..COUNT {
        client.subscribe(&format!("{prefix}-{number}")).await;
    }
    for node in cluster.nodes() {
        let query = [("filter_by_prefix", prefix.as_str())];
        let listed = node.get("/channels", &query).await;
        let channels = listed["channels"].as_object().expect("it is a map");
        assert_eq!(channels.len(), COUNT);
    }
    drop(client);
    finish(cluster, &redis).await;
}
