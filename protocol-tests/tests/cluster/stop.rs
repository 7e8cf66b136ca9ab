//! A node that is stopped while it is busy: what it has accepted arrives, and the rest can be sent again elsewhere.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use protocol_tests::names::unique;
use protocol_tests::{App, HttpClient, PublishedEvent, Request, eventually, or_skip};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::{channel_name, finish, start};

const PUBLISHERS: usize = 8;
const ROUNDS: usize = 5;
/// How long a publish may take that another node was asked for before.
const AGAIN_WITHIN: Duration = Duration::from_secs(5);

/// What one publisher has done.
#[derive(Default)]
struct Published {
    /// The data of the events that were answered with 200.
    accepted: Vec<String>,
    /// The event that was not.
    open: Option<PublishedEvent>,
}

/// Publishes until the node does not take it any more. Each event has a key.
async fn publish(
    app: App,
    mut http: HttpClient,
    channel: String,
    count: Arc<AtomicUsize>,
) -> Published {
    let mut published = Published::default();
    loop {
        let data = unique("data-");
        let event = PublishedEvent::new(&channel, "busy", data.clone());
        let event = event.with("idempotency_key", unique("k-").into());
        let request = Request::post(&app, "/events").json(event.body());
        let bytes = request.encode(&http.endpoint().authority, "");
        let sent = http.connection().await.try_send(&bytes).await;
        let answer = match sent {
            Ok(()) => http.try_read_response_to("POST").await,
            Err(ended) => Err(ended),
        };
        match answer {
            Ok(answer) if answer.status == 200 => {
                published.accepted.push(data);
                count.fetch_add(1, Ordering::Relaxed);
                if answer.header("connection") == Some("close") {
                    return published;
                }
            }
            Ok(answer) if answer.status != 503 => panic!("{}: {}", answer.status, answer.text()),
            _ => {
                published.open = Some(event);
                return published;
            }
        }
    }
}

#[tokio::test]
async fn publishes_on_a_node_that_is_stopped_arrive_or_can_be_sent_again_elsewhere() {
    let (redis, mut cluster) = or_skip!(start().await);
    let channel = channel_name("public-");
    let mut client = cluster[1].connect().await;
    client.subscribe(&channel).await;
    for round in 0..ROUNDS {
        let count = Arc::new(AtomicUsize::new(0));
        let mut publishers = JoinSet::new();
        for _ in 0..PUBLISHERS {
            let (app, http) = (cluster.app().clone(), cluster[2].http());
            publishers.spawn(publish(app, http, channel.clone(), Arc::clone(&count)));
        }
        eventually("the publishers to be busy", || async {
            (count.load(Ordering::Relaxed) >= 100).then_some(())
        })
        .await;
        cluster.stop(2).await;
        let mut expected: BTreeMap<String, usize> = BTreeMap::new();
        for published in publishers.join_all().await {
            expected.extend(published.accepted.into_iter().map(|data| (data, 1)));
            let Some(event) = published.open else {
                continue;
            };
            let request = Request::post(cluster.app(), "/events").json(event.body());
            let again = timeout(AGAIN_WITHIN, cluster[0].request(&request)).await;
            let again =
                again.expect("the publish is answered soon when it is sent again elsewhere");
            again.expect_status(200);
            let data = event.body()["data"].as_str().expect("it is a text");
            expected.insert(data.to_owned(), 1);
        }
        let mut received: BTreeMap<String, usize> = BTreeMap::new();
        for event in cluster.fence_on(&mut client, &channel).await {
            *received.entry(event.data_text().to_owned()).or_default() += 1;
        }
        let lost = expected
            .keys()
            .filter(|data| !received.contains_key(*data))
            .count();
        let twice = received.values().filter(|count| **count > 1).count();
        assert_eq!(
            (lost, twice),
            (0, 0),
            "lost and twice, of {} in round {round}",
            expected.len()
        );
        assert_eq!(received, expected);
        cluster.start(2).await;
    }
    drop(client);
    finish(cluster, &redis).await;
}
