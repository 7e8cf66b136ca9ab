//! `POST /apps/{id}/batch_events`: up to ten events, all of them or none.

use protocol_tests::{AppConfig, PublishedEvent, Request, TestServer, or_skip};
use serde_json::{Value, json};

use crate::support::{batch, expect_refused, query, subscriber};

fn numbered(channel: &str, count: usize) -> Vec<PublishedEvent> {
    let numbers = 0..count;
    let event = |number: usize| PublishedEvent::new(channel, "numbered", number.to_string());
    numbers.map(event).collect()
}

#[tokio::test]
async fn ten_events_are_delivered_in_their_order() {
    let server = TestServer::start().await;
    let (mut client, channel) = subscriber(&server, "public-").await;
    let request = batch(server.app(), &numbered(&channel, 10));
    let response = server.request(&request).await.expect_status(200);
    assert_eq!(response.json(), json!({}));
    for number in 0..10 {
        let event = client.expect_event_on(&channel, "numbered").await;
        let expected = json!({"event": "numbered", "channel": channel, "data": number.to_string()});
        assert_eq!(event.message, expected);
    }
    client.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn events_of_different_channels_reach_one_connection_in_their_order() {
    let builder = TestServer::builder().set("server.workers", 4);
    let server = or_skip!(builder.start().await);
    let channels = [
        server.channel("public-"),
        server.channel("private-"),
        server.channel("cache-"),
    ];
    let mut client = server.connect().await;
    for channel in &channels[..2] {
        client.subscribe(channel).await;
    }
    client.subscribe(&channels[2]).await;
    client
        .expect_event_on(&channels[2], "pusher:cache_miss")
        .await;
    let events: Vec<PublishedEvent> = (0..10)
        .map(|number| {
            PublishedEvent::new(&channels[number * 7 % 3], "numbered", number.to_string())
        })
        .collect();
    for _ in 0..20 {
        let request = batch(server.app(), &events);
        server.request(&request).await.expect_status(200);
    }
    for _ in 0..20 {
        for number in 0..10 {
            let event = client
                .expect_event_on(&channels[number * 7 % 3], "numbered")
                .await;
            assert_eq!(event.data_text(), number.to_string());
        }
    }
    server.finish().await;
}

#[tokio::test]
async fn eleven_events_are_400_naming_batch_and_none_is_delivered() {
    let server = TestServer::start().await;
    let (mut client, channel) = subscriber(&server, "public-").await;
    let request = batch(server.app(), &numbered(&channel, 11));
    expect_refused(&server, &request, 400, "batch").await;
    client.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn number_of_events_is_configurable() {
    let app = AppConfig::new("10001").limit("batch_events", 12);
    let server = or_skip!(TestServer::builder().app(app).start().await);
    let request = batch(server.app(), &numbered("public", 12));
    server.request(&request).await.expect_status(200);
    let request = batch(server.app(), &numbered("public", 13));
    expect_refused(&server, &request, 400, "batch").await;
    server.finish().await;
}

#[tokio::test]
async fn batch_that_is_empty_missing_or_no_list_is_400_naming_it() {
    let server = TestServer::start().await;
    for body in [
        json!({}),
        json!({"batch": null}),
        json!({"batch": []}),
        json!({"batch": {}}),
        json!({"batch": "x"}),
        json!({"batch": 1}),
        json!({"batch": {"0": {"name": "x", "channel": "c", "data": ""}}}),
        json!({"name": "x", "channel": "c", "data": ""}),
    ] {
        let request = Request::post(server.app(), "/batch_events").json(&body);
        expect_refused(&server, &request, 400, "batch").await;
    }
    for slot in [
        json!(null),
        json!(1),
        json!("x"),
        json!([]),
        json!([["x", "", "c"]]),
    ] {
        let body = json!({"batch": [{"name": "x", "channel": "c", "data": ""}, slot]});
        let request = Request::post(server.app(), "/batch_events").json(&body);
        server.request(&request).await.expect_status(400);
    }
    server.finish().await;
}

#[tokio::test]
async fn one_invalid_event_and_none_is_delivered() {
    let server = TestServer::start().await;
    let (mut client, channel) = subscriber(&server, "cache-").await;
    client.expect_event_on(&channel, "pusher:cache_miss").await;
    let good = |number: usize| PublishedEvent::new(&channel, "x", number.to_string());
    for (bad, status, names) in [
        (PublishedEvent::new(&channel, "", ""), 400, "name"),
        (PublishedEvent::new(&channel, "pusher:x", ""), 400, "name"),
        (
            PublishedEvent::new(&channel, &"n".repeat(201), ""),
            400,
            "name",
        ),
        (PublishedEvent::new("bad name", "x", ""), 400, "channel"),
        (
            PublishedEvent::new(&"n".repeat(165), "x", ""),
            400,
            "channel",
        ),
        (PublishedEvent::new(&channel, "x", Value::Null), 400, "data"),
        (
            PublishedEvent::new(&channel, "x", "x".repeat(10_241)),
            413,
            "data",
        ),
        (
            PublishedEvent::new(&channel, "x", "").excluding("me"),
            400,
            "socket_id",
        ),
        (
            PublishedEvent::new(&channel, "x", "").info("nonsense"),
            400,
            "info",
        ),
    ] {
        for position in [0, 4, 9] {
            let mut events: Vec<PublishedEvent> = (0..9).map(good).collect();
            events.insert(position, bad.clone());
            let request = batch(server.app(), &events);
            expect_refused(&server, &request, status, names).await;
        }
    }
    client.expect_nothing().await;
    let state = query(&server, &channel, "cache").await;
    assert!(
        state["cache"].is_null(),
        "nothing was cached either: {state}"
    );
    server.finish().await;
}

#[tokio::test]
async fn refusal_names_the_event_that_is_wrong() {
    let server = TestServer::start().await;
    let mut events = numbered("public", 10);
    events[7] = PublishedEvent::new("bad name", "x", "");
    expect_refused(&server, &batch(server.app(), &events), 400, "7").await;
    server.finish().await;
}

#[tokio::test]
async fn answer_holds_a_slot_for_each_event_in_request_order() {
    let server = TestServer::start().await;
    let (_client, channel) = subscriber(&server, "public-").await;
    let presence = server.channel("presence-");
    let cache = server.channel("cache-");
    let event = |channel: &str| PublishedEvent::new(channel, "x", "cached");
    let events = [
        event(&channel),
        event(&presence).info("user_count"),
        event(&channel).info("subscription_count,user_count,cache"),
        event(&cache).info("cache"),
        event(&cache),
    ];
    let request = batch(server.app(), &events);
    let answer = server.request(&request).await.expect_status(200).json();
    let slots = answer["batch"].as_array().expect("batch is a list");
    assert_eq!(slots.len(), 5);
    assert_eq!(slots[0], json!({}));
    assert_eq!(slots[1], json!({"user_count": 0}));
    assert_eq!(slots[2], json!({"subscription_count": 1}));
    assert_eq!(slots[3]["cache"]["data"], "cached");
    assert_eq!(slots[4], json!({}));
    server.finish().await;
}

#[tokio::test]
async fn encrypted_channels_may_be_in_one_batch_each_in_an_event_of_its_own() {
    let server = TestServer::start().await;
    let (mut client, first) = subscriber(&server, "private-encrypted-").await;
    let second = server.channel("private-encrypted-");
    client.subscribe(&second).await;
    let events = [
        PublishedEvent::new(&first, "x", "{}"),
        PublishedEvent::new(&second, "x", "{}"),
    ];
    server
        .request(&batch(server.app(), &events))
        .await
        .expect_status(200);
    client.expect_event_on(&first, "x").await;
    client.expect_event_on(&second, "x").await;
    server.finish().await;
}

/// A body of ten events at every limit, each character of their data written as `token`.
fn full_batch(channel: &str, event_data_bytes: usize, character: char, token: &str) -> String {
    let data = token.repeat(event_data_bytes / character.len_utf8());
    let channel = format!("{channel}{}", "n".repeat(164 - channel.len()));
    let name = "n".repeat(200);
    let event = format!(
        r#"{{"name":"{name}","channel":"{channel}","data":"{data}","socket_id":"12345.67890","info":"subscription_count"}}"#
    );
    format!(r#"{{"batch":[{}]}}"#, vec![event; 10].join(","))
}

#[tokio::test]
async fn full_batch_of_full_events_fits_in_a_body_however_it_is_escaped() {
    let server = TestServer::start().await;
    // Python's json writes every character beyond ASCII as an escape.
    for (character, token) in [
        ('x', "x"),
        ('"', "\\\""),
        ('é', "\\u00e9"),
        ('\0', "\\u0000"),
    ] {
        let body = full_batch("public-", 10_240, character, token);
        let request = Request::post(server.app(), "/batch_events").body(body);
        let response = server.request(&request).await.expect_status(200);
        assert_eq!(
            response.json()["batch"].as_array().map(Vec::len),
            Some(10),
            "{token}"
        );
    }
    server.finish().await;
}

#[tokio::test]
async fn full_batch_fits_in_a_body_whatever_the_limit_of_data() {
    let app = AppConfig::new("10001").limit("event_data_bytes", 200_000);
    let server = or_skip!(TestServer::builder().app(app).start().await);
    for (character, token) in [
        ('x', "x"),
        ('"', "\\\""),
        ('é', "\\u00e9"),
        ('\0', "\\u0000"),
    ] {
        let body = full_batch("public-", 200_000, character, token);
        let request = Request::post(server.app(), "/batch_events").body(body);
        let response = server.request(&request).await;
        assert_eq!(response.status, 200, "{token}: {}", response.text());
    }
    server.finish().await;
}
