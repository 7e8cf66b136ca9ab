//! Many who find one cache empty ask the backend for one thing.

use protocol_tests::{PublishedEvent, or_skip};
use serde_json::json;
use tokio::time::Instant;

use crate::support::{figure, receiver, relay, subscriber};

const SUBSCRIBERS: usize = 50;

#[tokio::test]
async fn misses_of_one_channel_are_sent_once_a_second_and_the_first_at_once() {
    let mut receiver = receiver().await;
    let server = or_skip!(relay(&receiver, &["cache_miss"]).start().await);
    let channel = server.channel("cache-");
    let miss = json!({"name": "cache_miss", "channel": channel});
    let started = Instant::now();
    let mut subscribers = Vec::new();
    for _ in 0..SUBSCRIBERS {
        subscribers.push(subscriber(&server, &channel).await);
    }
    let seconds = started.elapsed().as_secs() as usize;

    let joined = figure(&server, "cache_misses_joined_total", &[]).await as usize;
    let sent = SUBSCRIBERS - joined;
    assert!(sent >= 2, "{joined} were joined");
    assert!(sent <= 2 + seconds, "{sent} in {seconds} s");
    for _ in 0..sent {
        receiver.expect_event(miss.clone()).await;
    }

    server
        .publish(PublishedEvent::new(&channel, "kept", "x"))
        .await;
    let mut late = subscriber(&server, &channel).await;
    late.expect_event_on(&channel, "kept").await;
    let marker = server.channel("cache-");
    let _marker = subscriber(&server, &marker).await;
    let marked = json!({"name": "cache_miss", "channel": marker});
    receiver.expect_event(marked).await;
    receiver.expect_nothing_more();
    server.finish().await;
}

#[tokio::test]
async fn miss_that_waits_is_sent_before_the_relay_stops() {
    let mut receiver = receiver().await;
    let server = or_skip!(relay(&receiver, &["cache_miss"]).start().await);
    let channel = server.channel("cache-");
    let miss = json!({"name": "cache_miss", "channel": channel});
    let _first = subscriber(&server, &channel).await;
    let _second = subscriber(&server, &channel).await;
    server.finish().await;
    receiver.expect_event(miss.clone()).await;
    receiver.expect_event(miss).await;
    receiver.expect_nothing_more();
}
