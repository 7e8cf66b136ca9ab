//! What fails holds up nothing else: no other channel, webhook or app, and no client.

use std::time::Duration;

use protocol_tests::{Answer, AppConfig, Receiver, TestServer, WebhookConfig, or_skip};
use serde_json::json;
use tokio::time::Instant;

use crate::support::{
    app, expect_numbered, occupied, receiver, relay, send_numbered, subscriber, talkative,
};

/// How long what does not wait for a failing neighbour may take: less than the first retry, which comes after 750 at the
/// earliest.
const AT_ONCE: Duration = Duration::from_millis(700);

/// Lets requests of channels whose names begin with `private-bad` fail like this.
fn fail_bad_channels(receiver: &Receiver, answer: Answer) {
    receiver.script(move |delivery| {
        if delivery.events[0].channel.starts_with("private-bad") {
            answer.clone()
        } else {
            Answer::OK
        }
    });
}

/// Asserts that half of them took no longer than [`AT_ONCE`]: the others may have come when the machine was busy.
fn assert_at_once(mut took: Vec<Duration>) {
    took.sort();
    let half = took[took.len() / 2];
    assert!(half < AT_ONCE, "held up: {took:?}");
}

/// How many requests were under way together at most.
fn most_under_way(receiver: &Receiver) -> usize {
    let deliveries = receiver.deliveries();
    let together = |at: Instant| {
        let under_way = deliveries.iter().filter(|delivery| {
            delivery.arrived <= at && delivery.ended.is_none_or(|ended| ended > at)
        });
        under_way.count()
    };
    let arrivals = deliveries.iter().map(|delivery| delivery.arrived);
    arrivals.map(together).max().unwrap_or_default()
}

#[tokio::test]
async fn a_failing_channel_holds_up_no_other() {
    let mut receiver = receiver().await;
    fail_bad_channels(&receiver, Answer::Status(500));
    let server = or_skip!(relay(&receiver, &["client_event"]).start().await);
    let bad = server.channel("private-bad-");
    let good = server.channel("private-good-");
    let mut client = subscriber(&server, &bad).await;
    client.subscribe(&good).await;
    send_numbered(&mut client, &bad, 0..5).await;
    receiver.wait_for_deliveries(1).await;
    let mut took = Vec::new();
    for number in 0..50 {
        let began = Instant::now();
        send_numbered(&mut client, &good, number..number + 1).await;
        expect_numbered(&mut receiver, &good, number..number + 1).await;
        took.push(began.elapsed());
    }
    assert_at_once(took);
    receiver.script(|_| Answer::OK);
    expect_numbered(&mut receiver, &bad, 0..5).await;
    receiver.expect_nothing_more();
    server.finish().await;
}

#[tokio::test]
async fn more_failing_channels_than_requests_may_be_under_way_hold_up_no_other() {
    let mut receiver = receiver().await;
    fail_bad_channels(&receiver, Answer::Status(500));
    let builder = relay(&receiver, &["client_event"]).set("webhooks.concurrency", 2);
    let server = or_skip!(builder.start().await);
    let mut client = server.connect().await;
    let bad: Vec<String> = (0..20).map(|_| server.channel("private-bad-")).collect();
    let good = server.channel("private-good-");
    client.subscribe(&good).await;
    for channel in &bad {
        client.subscribe(channel).await;
        send_numbered(&mut client, channel, 0..2).await;
    }
    receiver.wait_for_deliveries(bad.len()).await;
    let mut took = Vec::new();
    for number in 0..20 {
        let began = Instant::now();
        send_numbered(&mut client, &good, number..number + 1).await;
        expect_numbered(&mut receiver, &good, number..number + 1).await;
        took.push(began.elapsed());
    }
    assert_at_once(took);
    receiver.script(|_| Answer::OK);
    for channel in &bad {
        expect_numbered(&mut receiver, channel, 0..2).await;
    }
    server.finish().await;
}

#[tokio::test]
async fn a_failing_webhook_holds_up_no_other_of_its_app() {
    for failure in [Answer::Status(500), Answer::Never] {
        let failing = receiver().await;
        let mut healthy = receiver().await;
        failing.script({
            let failure = failure.clone();
            move |_| failure.clone()
        });
        let app = talkative()
            .webhook(failing.webhook(&["client_event"]))
            .webhook(healthy.webhook(&["client_event"]));
        let builder = TestServer::builder()
            .app(app)
            .set("webhooks.concurrency", 4)
            .set("server.shutdown_timeout", 1);
        let server = or_skip!(builder.start().await);
        // More channels than requests may be under way to one webhook.
        let mut client = server.connect().await;
        let channels: Vec<String> = (0..10).map(|_| server.channel("private-")).collect();
        for channel in &channels {
            client.subscribe(channel).await;
            send_numbered(&mut client, channel, 0..1).await;
        }
        for channel in &channels {
            expect_numbered(&mut healthy, channel, 0..1).await;
        }
        failing.wait_for_deliveries(4).await;
        let mut took = Vec::new();
        for channel in &channels {
            let began = Instant::now();
            send_numbered(&mut client, channel, 1..2).await;
            expect_numbered(&mut healthy, channel, 1..2).await;
            took.push(began.elapsed());
        }
        assert_at_once(took);
        server.finish().await;
    }
}

#[tokio::test]
async fn two_webhooks_with_one_url_are_two_all_the_same() {
    let mut receiver = receiver().await;
    let app = talkative()
        .webhook(WebhookConfig::new(
            &receiver.url("/hook"),
            &["channel_occupied"],
        ))
        .webhook(WebhookConfig::new(
            &receiver.url("/hook"),
            &["client_event"],
        ));
    let server = or_skip!(TestServer::builder().app(app).start().await);
    for _ in 0..5 {
        let channel = server.channel("private-");
        let mut client = subscriber(&server, &channel).await;
        receiver.expect_event(occupied(&channel)).await;
        send_numbered(&mut client, &channel, 0..1).await;
        expect_numbered(&mut receiver, &channel, 0..1).await;
    }
    server.finish().await;
}

#[tokio::test]
async fn a_failing_app_holds_up_no_other() {
    let apps = [talkative(), AppConfig::new("20002")];
    let failing = Receiver::start(&[&apps[0].app()]).await;
    let mut healthy = Receiver::start(&[&apps[1].app()]).await;
    failing.script(|_| Answer::Never);
    let [first, second] = apps;
    let builder = TestServer::builder()
        .app(first.webhook(failing.webhook(&["channel_occupied"])))
        .app(second.webhook(healthy.webhook(&["channel_occupied"])))
        .set("server.shutdown_timeout", 1);
    let server = or_skip!(builder.start().await);
    let mut ours = server.connect_to(server.app()).await;
    let mut theirs = server.connect_to(server.second_app()).await;
    for _ in 0..30 {
        ours.subscribe(&server.channel("public-")).await;
    }
    failing.wait_for_deliveries(16).await;
    let mut took = Vec::new();
    for _ in 0..10 {
        let began = Instant::now();
        let channel = server.channel("public-");
        theirs.subscribe(&channel).await;
        healthy.expect_event(occupied(&channel)).await;
        took.push(began.elapsed());
    }
    assert_at_once(took);
    server.finish().await;
}

#[tokio::test]
async fn no_more_requests_are_under_way_than_configured() {
    const CHANNELS: usize = 30;
    let mut receiver = receiver().await;
    receiver.script(|_| Answer::Late(Duration::from_millis(100), 200));
    for concurrency in [1, 5] {
        let app = app(&receiver, &["channel_occupied"]);
        let builder = TestServer::builder()
            .app(app)
            .set("webhooks.concurrency", concurrency as i64);
        let server = or_skip!(builder.start().await);
        let mut client = server.connect().await;
        let channels: Vec<String> = (0..CHANNELS).map(|_| server.channel("public-")).collect();
        for channel in &channels {
            client.send_subscribe(channel, None, None).await;
        }
        for channel in &channels {
            receiver.expect_event(occupied(channel)).await;
        }
        assert_eq!(most_under_way(&receiver), concurrency);
        server.finish().await;
    }
}

#[tokio::test]
async fn a_dead_endpoint_slows_no_client_down() {
    let receiver = receiver().await;
    receiver.script(|_| Answer::Never);
    let builder =
        relay(&receiver, &["client_event", "channel_occupied"]).set("server.shutdown_timeout", 1);
    let server = or_skip!(builder.start().await);
    let channel = server.channel("private-");
    let mut sender = subscriber(&server, &channel).await;
    let mut listener = subscriber(&server, &channel).await;
    let mut slowest = Duration::ZERO;
    for number in 0..500 {
        let began = Instant::now();
        sender
            .send_client_event(&channel, "client-x", json!(number))
            .await;
        listener.expect_event_on(&channel, "client-x").await;
        slowest = slowest.max(began.elapsed());
    }
    // Half as long as the relay waits for the endpoint.
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    server.finish().await;
}
