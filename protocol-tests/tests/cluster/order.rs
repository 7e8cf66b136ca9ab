//! Order: what one publisher sends through one node arrives everywhere in that order, complete and once.

use protocol_tests::random::number_from;
use protocol_tests::{App, Cluster, HttpClient, RedisServer, Request, WsClient, or_skip, within};
use serde_json::{Value, json};

use crate::support::{app, channel_name, finish, start, subscriber_of_each};

/// Events of one publisher. PROTOCOL_TESTS_CLUSTER_EVENTS makes them more or fewer.
const EVENTS: usize = 10_000;
const BATCH: usize = 10;
/// Requests that are sent before the first of them is answered, all on one connection.
const AHEAD: usize = 8;

/// Publishes events whose data are consecutive numbers, in batches that follow each other without waiting.
async fn publish_numbered(app: App, mut http: HttpClient, channel: String, count: usize) {
    let authority = http.endpoint().authority.clone();
    let mut unanswered = 0;
    for first in (0..count).step_by(BATCH) {
        let batch: Vec<Value> = (first..(first + BATCH).min(count))
            .map(|number| json!({"channel": channel, "name": "number", "data": number.to_string()}))
            .collect();
        let request = Request::post(&app, "/batch_events").json(&json!({ "batch": batch }));
        http.send_raw(&request.encode(&authority, "")).await;
        unanswered += 1;
        if unanswered == AHEAD {
            http.read_response().await.expect_status(200);
            unanswered -= 1;
        }
    }
    for _ in 0..unanswered {
        http.read_response().await.expect_status(200);
    }
}

/// Takes the events `0..count` of this name, which must be the next that come.
async fn expect_numbered(client: &mut WsClient, name: &str, count: usize) {
    for number in 0..count {
        let event = client.expect_event(name).await;
        let data = event.data.to_string();
        assert_eq!(data.trim_matches('"'), number.to_string(), "{}", event.text);
    }
}

#[tokio::test]
async fn ten_thousand_events_arrive_on_every_node_in_order() {
    let (redis, cluster) = or_skip!(start().await);
    let count = number_from("PROTOCOL_TESTS_CLUSTER_EVENTS", EVENTS);
    let channel = channel_name("public-");
    let mut clients = subscriber_of_each(&cluster, &channel).await;
    let http = cluster[0].http();
    let publisher = tokio::spawn(publish_numbered(
        cluster.app().clone(),
        http,
        channel.clone(),
        count,
    ));
    let [on_a, on_b, on_c] = clients.as_mut_slice() else {
        unreachable!("there are three nodes");
    };
    tokio::join!(
        expect_numbered(on_a, "number", count),
        expect_numbered(on_b, "number", count),
        expect_numbered(on_c, "number", count),
    );
    within("the publisher to end", publisher).await.unwrap();
    crate::support::expect_nothing(&cluster, &mut clients).await;
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn node_without_room_for_what_others_publish_takes_it_from_the_log_in_order() {
    let redis = RedisServer::start().await;
    // Any event takes all of the room, and those that follow at once find none.
    let app = app().limit("publish_backlog", 1);
    let cluster = or_skip!(Cluster::builder(redis.url()).app(app).start().await);
    const COUNT: usize = 1000;
    let channel = channel_name("public-");
    let mut clients = subscriber_of_each(&cluster, &channel).await;
    let publisher = tokio::spawn(publish_numbered(
        cluster.app().clone(),
        cluster[0].http(),
        channel.clone(),
        COUNT,
    ));
    for client in &mut clients {
        expect_numbered(client, "number", COUNT).await;
    }
    within("the publisher to end", publisher).await.unwrap();
    crate::support::expect_nothing(&cluster, &mut clients).await;
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn client_events_of_one_connection_arrive_on_every_node_in_order() {
    let (redis, cluster) = or_skip!(start().await);
    const COUNT: usize = 2000;
    let channel = channel_name("private-");
    let mut clients = subscriber_of_each(&cluster, &channel).await;
    let [sender, on_b, on_c] = clients.as_mut_slice() else {
        unreachable!("there are three nodes");
    };
    let send = async {
        for number in 0..COUNT {
            sender
                .send_client_event(&channel, "client-number", json!(number))
                .await;
        }
    };
    tokio::join!(
        send,
        expect_numbered(on_b, "client-number", COUNT),
        expect_numbered(on_c, "client-number", COUNT),
    );
    crate::support::expect_nothing(&cluster, &mut clients).await;
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn publishers_on_every_node_at_once_each_keep_their_order() {
    let (redis, cluster) = or_skip!(start().await);
    const COUNT: usize = 1000;
    let channel = channel_name("public-");
    let mut clients = subscriber_of_each(&cluster, &channel).await;
    let mut publishers = tokio::task::JoinSet::new();
    for (position, node) in cluster.nodes().enumerate() {
        let (app, mut http, channel) = (node.app().clone(), node.http(), channel.clone());
        publishers.spawn(async move {
            for number in 0..COUNT {
                let body = json!({"channel": channel, "name": "mixed", "data": format!("{position} {number}")});
                let request = Request::post(&app, "/events").json(&body);
                http.send(&request).await.expect_status(200);
            }
        });
    }
    for client in &mut clients {
        let mut next = [0; 3];
        for _ in 0..3 * COUNT {
            let event = client.expect_event_on(&channel, "mixed").await;
            let (position, number) = event.data_text().split_once(' ').expect("two numbers");
            let next = &mut next[position.parse::<usize>().expect("a position")];
            assert_eq!(number, next.to_string(), "{}", event.text);
            *next += 1;
        }
    }
    publishers.join_all().await;
    crate::support::expect_nothing(&cluster, &mut clients).await;
    finish(cluster, &redis).await;
}

/// Publishes batches of consecutive numbers that go round the channels, several batches ahead of their answers.
async fn publish_around(
    app: App,
    mut http: HttpClient,
    name: &'static str,
    channels: Vec<String>,
    batches: usize,
) {
    let authority = http.endpoint().authority.clone();
    let mut unanswered = 0;
    for first in (0..batches * BATCH).step_by(BATCH) {
        let batch: Vec<Value> = (first..first + BATCH)
            .map(|number| {
                let channel = &channels[number % channels.len()];
                json!({"channel": channel, "name": name, "data": number.to_string()})
            })
            .collect();
        let request = Request::post(&app, "/batch_events").json(&json!({ "batch": batch }));
        http.send_raw(&request.encode(&authority, "")).await;
        unanswered += 1;
        if unanswered == AHEAD {
            http.read_response().await.expect_status(200);
            unanswered -= 1;
        }
    }
    for _ in 0..unanswered {
        http.read_response().await.expect_status(200);
    }
}

#[tokio::test]
async fn events_of_a_batch_arrive_on_every_node_in_order_whatever_their_channels() {
    const BATCHES: usize = 50;
    const PUBLISHERS: [&str; 3] = ["one", "two", "three"];
    let (redis, cluster) = or_skip!(start().await);
    let channels: Vec<String> = (0..4).map(|_| channel_name("public-")).collect();
    let mut clients = Vec::new();
    for node in cluster.nodes() {
        let mut client = node.connect().await;
        for channel in &channels {
            client.subscribe(channel).await;
        }
        clients.push(client);
    }
    let mut publishers = Vec::new();
    for (position, name) in PUBLISHERS.into_iter().enumerate() {
        let mut channels = channels.clone();
        channels.rotate_left(position);
        // Two of them use the same node.
        let http = cluster[position % 2].http();
        let publish = publish_around(cluster.app().clone(), http, name, channels, BATCHES);
        publishers.push(tokio::spawn(publish));
    }
    for client in &mut clients {
        let mut next = [0; PUBLISHERS.len()];
        let mut inverted = 0;
        for _ in 0..PUBLISHERS.len() * BATCHES * BATCH {
            let event = client.next_event().await;
            let publisher = PUBLISHERS.iter().position(|name| *name == event.name);
            let next = &mut next[publisher.expect("it is one of theirs")];
            let number: usize = event.data_text().parse().expect("it is a number");
            inverted += usize::from(number != *next);
            *next = number + 1;
        }
        assert_eq!(inverted, 0, "events out of order");
    }
    for publisher in publishers {
        within("the publisher to end", publisher).await.unwrap();
    }
    crate::support::expect_nothing(&cluster, &mut clients).await;
    finish(cluster, &redis).await;
}
