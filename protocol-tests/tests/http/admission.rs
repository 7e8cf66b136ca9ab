//! Too much under way: a publish waits, and is then refused whole with 503 and Retry-After, never half posted.

use std::collections::BTreeMap;

use protocol_tests::{
    AppConfig, HttpClient, PublishedEvent, Request, Response, Skipped, TestServer, WsClient,
    eventually, or_skip,
};
use tokio::task::JoinSet;

use crate::support::{batch, publish, refusal_text};

const PUBLISHERS: usize = 8;
const REQUESTS: usize = 60;
/// Deliveries that may be under way. Each event has one for each of as many subscribers on its channel, so one request
/// takes all the room there is.
const BACKLOG: usize = 50;

async fn start(publish_wait_ms: i64) -> Result<TestServer, Skipped> {
    let app = AppConfig::new("10001")
        .limit("publish_backlog", BACKLOG as i64)
        .limit("publish_wait_ms", publish_wait_ms)
        .limit("outbox_bytes", 64 << 20);
    TestServer::builder()
        .app(app)
        .set("server.workers", 4)
        .start()
        .await
}

/// Subscribers of both channels. The first is the one that is looked at; the others read until the last event.
async fn subscribers(server: &TestServer, channels: &[String; 2]) -> (WsClient, JoinSet<()>) {
    let mut witness = server.connect().await;
    for channel in channels {
        witness.subscribe(channel).await;
    }
    let mut crowd = JoinSet::new();
    for _ in 0..BACKLOG {
        let mut client = server.connect().await;
        for channel in channels {
            client.subscribe(channel).await;
        }
        crowd.spawn(async move { while client.next_event().await.name != "last" {} });
    }
    (witness, crowd)
}

/// What came of each request: its name, and the answer.
type Outcomes = Vec<(String, Response)>;

async fn send_all(mut http: HttpClient, requests: Vec<(String, Request)>) -> Outcomes {
    let mut outcomes = Vec::new();
    for (name, request) in requests {
        outcomes.push((name, http.send(&request).await));
    }
    assert_eq!(http.opened(), 1, "a refusal keeps the connection");
    outcomes
}

/// How the numbered event is published on both channels by one request.
type Publish = fn(&TestServer, &[String; 2], &str) -> Request;

fn event_on_both(server: &TestServer, channels: &[String; 2], name: &str) -> Request {
    let event = PublishedEvent::new("", "x", name).on(&[&channels[0], &channels[1]]);
    publish(server.app(), &event)
}

fn batch_of_one_on_each(server: &TestServer, channels: &[String; 2], name: &str) -> Request {
    let events = [0, 1].map(|channel| PublishedEvent::new(&channels[channel], "x", name));
    batch(server.app(), &events)
}

/// Publishes from all sides at once. Returns the answers, and how many times each event came to the witness.
async fn overload(
    server: &TestServer,
    publish_on_both: Publish,
) -> (Outcomes, BTreeMap<String, usize>) {
    let channels = [server.channel("public-"), server.channel("private-")];
    let (mut witness, crowd) = subscribers(server, &channels).await;
    let mut publishers = JoinSet::new();
    for publisher in 0..PUBLISHERS {
        let named = (0..REQUESTS).map(|number| {
            let name = format!("{publisher}:{number}");
            let request = publish_on_both(server, &channels, &name);
            (name, request)
        });
        publishers.spawn(send_all(server.http(), named.collect()));
    }
    let outcomes = publishers.join_all().await.concat();
    publish_last(server, &channels[1]).await;
    let mut seen = BTreeMap::new();
    let events = witness.events_until(|event| event.name == "last").await;
    for event in events {
        *seen.entry(event.data_text().to_owned()).or_insert(0) += 1;
    }
    crowd.join_all().await;
    (outcomes, seen)
}

/// Publishes once there is room again.
async fn publish_last(server: &TestServer, channel: &str) {
    let request = publish(server.app(), &PublishedEvent::new(channel, "last", ""));
    eventually("room for the last event", || async {
        let response = server.request(&request).await;
        (response.status == 200).then_some(())
    })
    .await;
}

async fn assert_whole_or_not_at_all(publish_on_both: Publish) {
    let server = or_skip!(start(0).await);
    let (outcomes, seen) = overload(&server, publish_on_both).await;
    let mut refused = 0;
    for (name, response) in &outcomes {
        let came = seen.get(name).copied().unwrap_or(0);
        match response.status {
            200 => assert_eq!(came, 2, "{name} was accepted"),
            503 => {
                refused += 1;
                assert_eq!(came, 0, "{name} was refused");
                let seconds = response.header("retry-after").map(str::parse::<u64>);
                assert!(
                    matches!(seconds, Some(Ok(1..=60))),
                    "{:?}",
                    response.headers
                );
                assert!(!refusal_text(response).is_empty());
            }
            status => panic!("{status}: {}", response.text()),
        }
    }
    assert!(refused > 0, "{PUBLISHERS} publishers at once never met");
    assert!(refused < outcomes.len(), "somebody was first");
    let refusals = server
        .metrics()
        .await
        .sum("fanfare_publishes_refused_total", &[("reason", "backlog")]);
    assert!(refusals >= refused as f64, "refusals are counted");
    server.finish().await;
}

#[tokio::test]
async fn event_on_several_channels_is_posted_on_all_or_refused_with_503() {
    assert_whole_or_not_at_all(event_on_both).await;
}

#[tokio::test]
async fn batch_is_posted_whole_or_refused_with_503() {
    assert_whole_or_not_at_all(batch_of_one_on_each).await;
}

#[tokio::test]
async fn publish_waits_for_room_before_it_is_refused() {
    let server = or_skip!(start(20_000).await);
    let (outcomes, seen) = overload(&server, event_on_both).await;
    for (name, response) in outcomes {
        assert_eq!(response.status, 200, "{name}: {}", response.text());
        assert_eq!(seen.get(&name), Some(&2));
    }
    server.finish().await;
}

#[tokio::test]
async fn subscriber_that_does_not_read_takes_no_room_for_good() {
    let app = AppConfig::new("10001")
        .limit("publish_backlog", 1)
        .limit("outbox_bytes", 64 << 20);
    let server = or_skip!(TestServer::builder().app(app).start().await);
    let channel = server.channel("stalled-");
    let mut stalled = server.connect().await;
    stalled.subscribe(&channel).await;
    let mut http = server.http();
    for _ in 0..1000 {
        let event = PublishedEvent::new(&channel, "x", "x".repeat(10_000));
        http.send(&publish(server.app(), &event))
            .await
            .expect_status(200);
    }
    server.finish().await;
}
