//! The list of all channels, however many they are, is nobody else's problem.

use std::time::Duration;

use protocol_tests::random::number_from;
use protocol_tests::{
    Cluster, HttpClient, PublishedEvent, RedisServer, Request, WsClient, or_skip,
};
use tokio::time::Instant;

use crate::support::{channel_name, finish, nodes};

/// Channels that are listed. PROTOCOL_TESTS_CLUSTER_CHANNELS makes them more or fewer.
const CHANNELS: usize = 2000;
const CHANNELS_OF_CONNECTION: usize = 100;
/// Publishes that are measured, and how far apart they are.
const PUBLISHES: usize = 300;
const APART: Duration = Duration::from_millis(5);

/// Connections to all nodes that are subscribed to so many channels together.
async fn occupy(cluster: &Cluster, count: usize) -> Vec<WsClient> {
    let prefix = channel_name("public-");
    let positions = cluster.positions();
    let mut clients = Vec::new();
    for first in (0..count).step_by(CHANNELS_OF_CONNECTION) {
        let position = positions[clients.len() % positions.len()];
        let mut client = cluster[position].connect().await;
        let last = (first + CHANNELS_OF_CONNECTION).min(count);
        for number in first..last {
            client
                .send_subscribe(&format!("{prefix}-{number}"), None, None)
                .await;
        }
        for _ in first..last {
            client
                .expect_event("pusher_internal:subscription_succeeded")
                .await;
        }
        clients.push(client);
    }
    clients
}

/// Publishes some events, one after the other, and returns how long nine of ten took at most to be answered: a list that
/// held them up would do so to many, and a busy machine does to a few.
async fn p90_of_publishes(cluster: &Cluster, http: &mut HttpClient, channel: &str) -> Duration {
    let event = PublishedEvent::new(channel, "x", "y");
    let mut took = Vec::new();
    for _ in 0..PUBLISHES {
        let request = Request::post(cluster.app(), "/events").json(event.body());
        let start = Instant::now();
        http.send(&request).await.expect_status(200);
        took.push(start.elapsed());
        tokio::time::sleep(APART).await;
    }
    took.sort();
    took[PUBLISHES * 9 / 10 - 1]
}

/// Lists all channels again and again; returns how often it was done.
async fn list_for_ever(mut http: HttpClient, request: Request, lists: &std::cell::Cell<usize>) {
    loop {
        http.send(&request).await.expect_status(200);
        lists.set(lists.get() + 1);
    }
}

#[tokio::test]
async fn publishes_are_quick_beside_lists_of_all_channels() {
    let redis = RedisServer::start().await;
    let cluster = or_skip!(nodes(&redis).nodes(2).start().await);
    let count = number_from("PROTOCOL_TESTS_CLUSTER_CHANNELS", CHANNELS);
    let clients = occupy(&cluster, count).await;
    let channel = channel_name("public-");
    let mut listener = cluster[1].connect().await;
    listener.subscribe(&channel).await;

    let mut publisher = cluster[0].http();
    p90_of_publishes(&cluster, &mut publisher, &channel).await;
    let alone = p90_of_publishes(&cluster, &mut publisher, &channel).await;
    let lists = std::cell::Cell::new(0);
    let list = Request::get(cluster.app(), "/channels");
    let beside = tokio::select! {
        p90 = p90_of_publishes(&cluster, &mut publisher, &channel) => p90,
        () = list_for_ever(cluster[0].http(), list, &lists) => unreachable!("it ends with the publishes"),
    };
    eprintln!(
        "p90 {alone:?} alone, {beside:?} beside {} lists",
        lists.get()
    );
    assert!(
        beside < alone * 5 + Duration::from_millis(50),
        "{beside:?} beside lists, {alone:?} alone"
    );
    drop((clients, listener));
    finish(cluster, &redis).await;
}
