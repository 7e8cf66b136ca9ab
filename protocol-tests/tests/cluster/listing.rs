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

/// How long nine of ten publishes took at most to be answered, and 99 of 100.
struct Took {
    p90: Duration,
    p99: Duration,
}

/// Publishes some events, one after the other.
async fn time_publishes(cluster: &Cluster, http: &mut HttpClient, channel: &str) -> Took {
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
    Took {
        p90: took[PUBLISHES * 9 / 10 - 1],
        p99: took[PUBLISHES * 99 / 100 - 1],
    }
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
    time_publishes(&cluster, &mut publisher, &channel).await;
    let alone = time_publishes(&cluster, &mut publisher, &channel).await;
    let lists = std::cell::Cell::new(0);
    let list = Request::get(cluster.app(), "/channels");
    let beside = tokio::select! {
        took = time_publishes(&cluster, &mut publisher, &channel) => took,
        () = list_for_ever(cluster[0].http(), list, &lists) => unreachable!("it ends with the publishes"),
    };
    let in_words = |took: &Took| format!("p90 {:?}, p99 {:?}", took.p90, took.p99);
    let (of_alone, of_beside) = (in_words(&alone), in_words(&beside));
    let lists = lists.get();
    eprintln!("{of_alone} alone; {of_beside} beside {lists} lists");
    // A list that held publishes up would do so to many of them, and a busy machine does to a few.
    assert!(
        beside.p90 < alone.p90 * 5 + Duration::from_millis(50),
        "{of_beside} beside lists, {of_alone} alone"
    );
    drop((clients, listener));
    finish(cluster, &redis).await;
}
