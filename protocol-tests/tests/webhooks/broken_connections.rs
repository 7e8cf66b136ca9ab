//! An endpoint whose answers come late, in part or not at all, and one that nobody can connect to.

use std::time::Duration;

use protocol_tests::{Answer, Delivery, or_skip};
use serde_json::json;
use tokio::time::Instant;

use crate::support::{
    expect_numbered, figure, occupied, receiver, relay, send_numbered, subscriber, wait_for_figure,
};

#[tokio::test]
async fn connections_that_end_before_the_answer_lose_nothing() {
    for answer in [Answer::Close, Answer::Broken] {
        let mut receiver = receiver().await;
        receiver.script({
            let answer = answer.clone();
            move |delivery| match delivery.attempt {
                1 => answer.clone(),
                _ => Answer::OK,
            }
        });
        let server = or_skip!(relay(&receiver, &["client_event"]).start().await);
        let channel = server.channel("private-");
        let mut client = subscriber(&server, &channel).await;
        send_numbered(&mut client, &channel, 0..3).await;
        expect_numbered(&mut receiver, &channel, 0..3).await;
        let deliveries = receiver.deliveries();
        // A client may repeat a request by itself when a connection that was used before ends.
        assert!(deliveries.len() >= 6, "{answer:?}: {deliveries:#?}");
        let unreachable = [("outcome", "unreachable")];
        assert!(figure(&server, "requests_total", &unreachable).await >= 1.0);
        server.finish().await;
    }
}

#[tokio::test]
async fn connections_that_end_in_the_middle_of_the_request_lose_nothing() {
    let mut receiver = receiver().await;
    let server = or_skip!(relay(&receiver, &["client_event"]).start().await);
    let channel = server.channel("private-");
    let mut client = subscriber(&server, &channel).await;
    let data = "x".repeat(10_000);
    for _ in 0..2 {
        receiver.cut_next(2);
        client
            .send_client_event(&channel, "client-x", data.as_str().into())
            .await;
        let event = receiver.next_event_on(&channel).await;
        assert_eq!(event.json["data"], data.as_str());
        assert_eq!(receiver.cuts_left(), 0);
    }
    receiver.expect_nothing_more();
    server.finish().await;
}

#[tokio::test]
async fn an_answer_later_than_the_timeout_is_a_failure() {
    for late in [Answer::Never, Answer::Late(Duration::from_secs(3600), 200)] {
        let mut receiver = receiver().await;
        receiver.script({
            let late = late.clone();
            move |delivery| match delivery.attempt {
                1 => late.clone(),
                _ => Answer::OK,
            }
        });
        let builder = relay(&receiver, &["channel_occupied"]).set("webhooks.timeout", 5);
        let server = or_skip!(builder.start().await);
        let channel = server.channel("public-");
        let _client = subscriber(&server, &channel).await;
        receiver.expect_event(occupied(&channel)).await;
        let deliveries = receiver.deliveries();
        let [first, second] = &deliveries[..] else {
            panic!("{late:?}: {deliveries:#?}");
        };
        assert_eq!(first.ids(), second.ids());
        let gave_up = first.ended.expect("it has ended") - first.arrived;
        // Less than the default.
        let about = Duration::from_millis(4900)..Duration::from_millis(9900);
        assert!(about.contains(&gave_up), "{late:?}: after {gave_up:?}");
        let timeouts = figure(&server, "requests_total", &[("outcome", "timeout")]).await;
        assert_eq!(timeouts, 1.0);
        server.finish().await;
    }
}

#[tokio::test]
async fn an_answer_that_is_late_and_within_the_timeout_is_one() {
    let mut receiver = receiver().await;
    // Later than the default allows.
    receiver.script(|_| Answer::Late(Duration::from_secs(11), 200));
    let builder = relay(&receiver, &["channel_occupied"]).set("webhooks.timeout", 25);
    let server = or_skip!(builder.start().await);
    let channel = server.channel("public-");
    let _client = subscriber(&server, &channel).await;
    receiver.expect_event(occupied(&channel)).await;
    assert_eq!(receiver.deliveries().len(), 1);
    server.finish().await;
}

#[tokio::test]
async fn refused_connections_lose_nothing() {
    let mut receiver = receiver().await;
    let server = or_skip!(relay(&receiver, &["client_event"]).start().await);
    let channel = server.channel("private-");
    let mut client = subscriber(&server, &channel).await;
    // At first, and again when a connection was in use.
    for round in 0..2 {
        receiver.refuse_connections().await;
        let refused = figure(&server, "requests_total", &[("outcome", "unreachable")]).await;
        let numbers = round * 10..round * 10 + 10;
        send_numbered(&mut client, &channel, numbers.clone()).await;
        let unreachable = [("outcome", "unreachable")];
        wait_for_figure(&server, "requests_total", &unreachable, refused + 2.0).await;
        receiver.accept_connections();
        expect_numbered(&mut receiver, &channel, numbers).await;
    }
    receiver.expect_nothing_more();
    server.finish().await;
}

#[tokio::test]
async fn an_endpoint_that_closes_idle_connections_unannounced_gets_every_event_once() {
    const EVENTS: u64 = 20;
    let mut receiver = receiver().await;
    receiver.script(|_| Answer::ThenClose(200));
    let server = or_skip!(relay(&receiver, &["client_event"]).start().await);
    let channel = server.channel("private-");
    let mut client = subscriber(&server, &channel).await;
    for number in 0..EVENTS {
        send_numbered(&mut client, &channel, number..number + 1).await;
        expect_numbered(&mut receiver, &channel, number..number + 1).await;
    }
    receiver.expect_nothing_more();
    server.finish().await;
}

#[tokio::test]
async fn what_an_endpoint_answers_beside_its_status_does_not_matter() {
    let mut receiver = receiver().await;
    receiver.script(|delivery: &Delivery| {
        let size = match delivery.events[0].json["data"].as_str() {
            Some("small") => 10,
            Some("large") => 1 << 20,
            _ => 0,
        };
        let status = if delivery.attempt == 1 { 500 } else { 200 };
        Answer::Body(status, vec![b'x'; size])
    });
    let server = or_skip!(relay(&receiver, &["client_event"]).start().await);
    let channel = server.channel("private-");
    let mut client = subscriber(&server, &channel).await;
    let began = Instant::now();
    for data in ["empty", "small", "large", "empty"] {
        client
            .send_client_event(&channel, "client-x", json!(data))
            .await;
        let event = receiver.next_event_on(&channel).await;
        assert_eq!(event.json["data"], data);
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(15), "{took:?}");
    receiver.expect_nothing_more();
    server.finish().await;
}
