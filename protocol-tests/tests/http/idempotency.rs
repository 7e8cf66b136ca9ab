//! Idempotency keys of `events` and `batch_events`, which Fanfare adds to the protocol: a publish that is sent again
//! is answered again, and delivered once.

use std::collections::BTreeSet;
use std::slice::from_ref;

use protocol_tests::names::unique;
use protocol_tests::{
    App, AppConfig, Event, HttpClient, PublishedEvent, Request, Response, TestServer,
    TestServerBuilder, WsClient, or_skip,
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{batch, expect_refused, publish, subscriber};

const HEADERS: [&str; 2] = ["Idempotency-Key", "X-Idempotency-Key"];

fn builder() -> TestServerBuilder {
    TestServer::builder().extension("idempotency keys")
}

fn with_key(event: &PublishedEvent, key: &str) -> PublishedEvent {
    event.clone().with("idempotency_key", key.into())
}

fn batch_with_key(app: &App, events: &[PublishedEvent], key: &Value) -> Request {
    let events: Vec<&Value> = events.iter().map(PublishedEvent::body).collect();
    let body = json!({"batch": events, "idempotency_key": key});
    Request::post(app, "/batch_events").json(&body)
}

/// Sends a request that must be accepted, and done now.
async fn expect_done(server: &TestServer, request: &Request) -> Response {
    let response = server.request(request).await.expect_status(200);
    assert_eq!(response.header("idempotency-replayed"), None);
    response
}

/// Sends a request that must be answered as an earlier one was.
async fn expect_replayed(server: &TestServer, request: &Request, first: &Response) {
    let response = server.request(request).await.expect_status(200);
    assert_eq!(response.header("idempotency-replayed"), Some("true"));
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert_eq!(response.text(), first.text());
}

async fn expect_one(client: &mut WsClient, channel: &str, name: &str) {
    client.expect_event_on(channel, name).await;
    client.expect_nothing().await;
}

#[tokio::test]
async fn repeated_key_is_delivered_once_wherever_it_stands() {
    let server = or_skip!(builder().start().await);
    let (mut client, channel) = subscriber(&server, "public-").await;
    let event = PublishedEvent::new(&channel, "x", "y");
    let plain = publish(server.app(), &event);
    for number in 0..4 {
        let key = unique("k-");
        let request = match number {
            0 => publish(server.app(), &with_key(&event, &key)),
            1 => plain.clone().query("idempotency_key", &key),
            header => plain.clone().header(HEADERS[header - 2], &key),
        };
        let first = expect_done(&server, &request).await;
        assert_eq!(first.json(), json!({}));
        for _ in 0..3 {
            expect_replayed(&server, &request, &first).await;
        }
        expect_one(&mut client, &channel, "x").await;
    }
    server.finish().await;
}

#[tokio::test]
async fn key_is_the_same_wherever_it_stands() {
    let server = or_skip!(builder().start().await);
    let (mut client, channel) = subscriber(&server, "public-").await;
    let key = unique("k-");
    let event = PublishedEvent::new(&channel, "x", "y");
    let everywhere = publish(server.app(), &with_key(&event, &key));
    let everywhere = everywhere.header(HEADERS[0], &key).header(HEADERS[1], &key);
    let first = expect_done(&server, &everywhere).await;
    for header in HEADERS {
        let request = publish(server.app(), &event).header(header, &key);
        expect_replayed(&server, &request, &first).await;
    }
    expect_one(&mut client, &channel, "x").await;
    server.finish().await;
}

#[tokio::test]
async fn without_a_key_the_same_event_is_delivered_each_time() {
    let server = or_skip!(builder().start().await);
    let (mut client, channel) = subscriber(&server, "public-").await;
    let event = PublishedEvent::new(&channel, "x", "y");
    let null = event.clone().with("idempotency_key", Value::Null);
    let null_beside_batch = batch_with_key(server.app(), from_ref(&null), &Value::Null);
    for request in [
        publish(server.app(), &event),
        publish(server.app(), &null),
        batch(server.app(), &[event]),
        null_beside_batch,
    ] {
        for _ in 0..2 {
            expect_done(&server, &request).await;
            client.expect_event_on(&channel, "x").await;
        }
    }
    client.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn answer_with_info_is_replayed_as_it_was() {
    let server = or_skip!(builder().start().await);
    let (mut client, channel) = subscriber(&server, "public-").await;
    let event = PublishedEvent::new(&channel, "x", "y").info("subscription_count");
    let request = publish(server.app(), &with_key(&event, &unique("k-")));
    let first = expect_done(&server, &request).await;
    let count = json!({"subscription_count": 1});
    assert_eq!(first.json(), json!({"channels": {&channel: count}}));
    server.connect().await.subscribe(&channel).await;
    expect_replayed(&server, &request, &first).await;
    expect_one(&mut client, &channel, "x").await;
    server.finish().await;
}

#[tokio::test]
async fn batch_is_delivered_once() {
    let server = or_skip!(builder().start().await);
    let (mut client, channel) = subscriber(&server, "public-").await;
    let event = |name: &str| PublishedEvent::new(&channel, name, "y");
    let events = [event("a"), event("b").info("subscription_count")];
    for header in [None, Some(HEADERS[0])] {
        let key = unique("k-");
        let request = match header {
            None => batch_with_key(server.app(), &events, &key.into()),
            Some(header) => batch(server.app(), &events).header(header, &key),
        };
        let first = expect_done(&server, &request).await;
        let answer = json!({"batch": [{}, {"subscription_count": 1}]});
        assert_eq!(first.json(), answer);
        expect_replayed(&server, &request, &first).await;
        client.expect_event_on(&channel, "a").await;
        expect_one(&mut client, &channel, "b").await;
    }
    server.finish().await;
}

#[tokio::test]
async fn another_publish_under_a_known_key_is_422_and_not_delivered() {
    let server = or_skip!(builder().start().await);
    let (mut client, channel) = subscriber(&server, "public-").await;
    let key = unique("k-");
    let event = PublishedEvent::new(&channel, "x", "y");
    let request = publish(server.app(), &with_key(&event, &key));
    let first = expect_done(&server, &request).await;
    for other in [
        PublishedEvent::new(&channel, "other", "y"),
        PublishedEvent::new(&channel, "x", "other"),
        PublishedEvent::new(&server.channel("public-"), "x", "y"),
    ] {
        let other = publish(server.app(), &with_key(&other, &key));
        expect_refused(&server, &other, 422, "key").await;
    }
    let batch = batch_with_key(server.app(), &[event], &key.into());
    expect_refused(&server, &batch, 422, "key").await;
    expect_replayed(&server, &request, &first).await;
    expect_one(&mut client, &channel, "x").await;
    server.finish().await;
}

#[tokio::test]
async fn keys_are_an_apps_own() {
    let apps = builder().app(AppConfig::new("10001"));
    let server = or_skip!(apps.app(AppConfig::new("20002")).start().await);
    let channel = server.channel("public-");
    let event = with_key(&PublishedEvent::new(&channel, "x", "y"), &unique("k-"));
    for app in [server.app(), server.second_app()] {
        let mut client = server.connect_to(app).await;
        client.subscribe(&channel).await;
        let request = publish(app, &event);
        let first = expect_done(&server, &request).await;
        expect_replayed(&server, &request, &first).await;
        expect_one(&mut client, &channel, "x").await;
    }
    server.finish().await;
}

#[tokio::test]
async fn duplicates_at_the_same_time_are_delivered_once_and_answered_alike() {
    const DUPLICATES: usize = 20;
    let server = or_skip!(builder().set("server.workers", 4).start().await);
    let (mut client, channel) = subscriber(&server, "public-").await;
    let event = PublishedEvent::new(&channel, "x", "y").info("subscription_count");
    for _ in 0..10 {
        let request = publish(server.app(), &with_key(&event, &unique("k-")));
        let mut senders = JoinSet::new();
        for _ in 0..DUPLICATES {
            let (mut http, request) = (server.http(), request.clone());
            http.connection().await;
            senders.spawn(async move { http.send(&request).await.expect_status(200) });
        }
        let answers = senders.join_all().await;
        let count = json!({"subscription_count": 1});
        for answer in &answers {
            assert_eq!(answer.json(), json!({"channels": {&channel: count}}));
        }
        let replayed = answers
            .iter()
            .filter(|answer| answer.header("idempotency-replayed").is_some());
        assert_eq!(replayed.count(), DUPLICATES - 1);
        expect_one(&mut client, &channel, "x").await;
    }
    server.finish().await;
}

#[tokio::test]
async fn refused_request_is_not_remembered() {
    let server = or_skip!(builder().start().await);
    let (mut client, channel) = subscriber(&server, "public-").await;
    let good = PublishedEvent::new(&channel, "x", "y");
    for (bad, status) in [
        (PublishedEvent::new("bad name", "x", ""), 400),
        (PublishedEvent::new(&channel, "x", "x".repeat(10_241)), 413),
    ] {
        let key = unique("k-");
        let refused = publish(server.app(), &with_key(&bad, &key));
        let unsigned = publish(server.app(), &with_key(&good, &key)).secret("a guess");
        for (request, status) in [(refused, status), (unsigned, 401)] {
            server.request(&request).await.expect_status(status);
        }
        let request = publish(server.app(), &with_key(&good, &key));
        let first = expect_done(&server, &request).await;
        expect_replayed(&server, &request, &first).await;
        expect_one(&mut client, &channel, "x").await;
    }
    server.finish().await;
}

/// Sends each request until it is accepted; returns how often one was refused for want of room.
async fn send_until_done(mut http: HttpClient, requests: Vec<Request>) -> usize {
    let mut refusals = 0;
    for request in &requests {
        while http.send(request).await.status == 503 {
            refusals += 1;
        }
    }
    refusals
}

#[tokio::test]
async fn publish_that_found_no_room_is_done_when_it_is_sent_again() {
    const SUBSCRIBERS: usize = 30;
    const PUBLISHERS: usize = 8;
    const EVENTS: usize = 40;
    let app = AppConfig::new("10001")
        .limit("publish_backlog", SUBSCRIBERS as i64)
        .limit("publish_wait_ms", 0);
    let workers = builder().app(app).set("server.workers", 4);
    let server = or_skip!(workers.start().await);
    let channel = server.channel("public-");
    let mut subscribers = JoinSet::new();
    for _ in 0..SUBSCRIBERS {
        let mut client = server.connect().await;
        client.subscribe(&channel).await;
        subscribers.spawn(async move { client.events_until(|event| event.name == "last").await });
    }
    let keyed = |name: &str, data: String| {
        let event = PublishedEvent::new(&channel, name, data);
        publish(server.app(), &with_key(&event, &unique("k-")))
    };
    let mut publishers = JoinSet::new();
    for publisher in 0..PUBLISHERS {
        let event = |number: usize| keyed("x", format!("{publisher}:{number}"));
        let requests = (0..EVENTS).map(event).collect();
        publishers.spawn(send_until_done(server.http(), requests));
    }
    let refusals: usize = publishers.join_all().await.into_iter().sum();
    assert!(refusals > 0, "{PUBLISHERS} publishers at once never met");
    send_until_done(server.http(), vec![keyed("last", String::new())]).await;
    for events in subscribers.join_all().await {
        let data: BTreeSet<&str> = events.iter().map(Event::data_text).collect();
        assert_eq!(events.len(), data.len(), "none came twice");
        assert_eq!(data.len(), PUBLISHERS * EVENTS, "none was lost");
    }
    server.finish().await;
}

#[tokio::test]
async fn key_has_1_to_255_visible_ascii_characters() {
    let server = or_skip!(builder().start().await);
    let event = PublishedEvent::new("public", "x", "y");
    let in_body = |key: Value| {
        let event = event.clone().with("idempotency_key", key);
        publish(server.app(), &event)
    };
    for good in ["!", "~", "\"\\/{}", &"k".repeat(255)] {
        let key = || {
            let mut key = format!("{}{good}", unique("k-"));
            key.truncate(255);
            key
        };
        let request = batch_with_key(server.app(), from_ref(&event), &key().into());
        expect_done(&server, &request).await;
        let key = &key();
        expect_done(&server, &in_body(key.as_str().into())).await;
        let request = publish(server.app(), &event).header(HEADERS[1], key);
        server.request(&request).await.expect_status(200);
    }
    for bad in [
        json!(""),
        json!(" "),
        json!("a b"),
        json!("a\n"),
        json!("a\0"),
        json!("\u{7f}"),
        json!("é"),
        json!("k".repeat(256)),
        json!(1),
        json!(true),
        json!(["k"]),
        json!({}),
    ] {
        expect_refused(&server, &in_body(bad.clone()), 400, "idempotency_key").await;
        let request = batch_with_key(server.app(), from_ref(&event), &bad);
        expect_refused(&server, &request, 400, "idempotency_key").await;
    }
    for header in HEADERS {
        for bad in ["", "a b", "é", &"k".repeat(256)] {
            let request = publish(server.app(), &event).header(header, bad);
            expect_refused(&server, &request, 400, header).await;
        }
    }
    server.finish().await;
}

#[tokio::test]
async fn keys_that_differ_are_400_naming_their_places() {
    let server = or_skip!(builder().start().await);
    let (mut client, channel) = subscriber(&server, "public-").await;
    let event = PublishedEvent::new(&channel, "x", "y");
    let in_body = publish(server.app(), &with_key(&event, "one"));
    let in_batch = batch_with_key(server.app(), from_ref(&event), &"one".into());
    let in_header = publish(server.app(), &event).header(HEADERS[1], "one");
    for (request, place) in [
        (in_body, "idempotency_key"),
        (in_batch, "idempotency_key"),
        (in_header, HEADERS[1]),
    ] {
        let request = request.header(HEADERS[0], "two");
        expect_refused(&server, &request, 400, HEADERS[0]).await;
        expect_refused(&server, &request, 400, place).await;
    }
    client.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn key_in_an_event_of_a_batch_is_400_with_where_it_belongs() {
    let server = or_skip!(builder().start().await);
    let (mut client, channel) = subscriber(&server, "public-").await;
    let event = PublishedEvent::new(&channel, "x", "y");
    let events = [event.clone(), with_key(&event, "k")];
    for request in [
        batch(server.app(), &events),
        batch(server.app(), &events).header(HEADERS[0], "k"),
        batch_with_key(server.app(), &events, &"k".into()),
    ] {
        expect_refused(&server, &request, 400, "idempotency_key").await;
        expect_refused(&server, &request, 400, "beside batch").await;
        expect_refused(&server, &request, 400, "batch[1]").await;
    }
    client.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn oldest_answers_go_first_when_their_bytes_are_used_up() {
    let app = AppConfig::new("10001").limit("idempotency_bytes", 1000);
    let server = or_skip!(builder().app(app).start().await);
    let (mut client, channel) = subscriber(&server, "public-").await;
    let keyed = |number: usize| {
        let event = PublishedEvent::new(&channel, "x", number.to_string());
        publish(server.app(), &with_key(&event, &format!("key-{number}")))
    };
    let mut answers = Vec::new();
    for number in 0..10 {
        answers.push(expect_done(&server, &keyed(number)).await);
    }
    expect_replayed(&server, &keyed(9), &answers[9]).await;
    assert_eq!(client.next_events(10).await.len(), 10);
    client.expect_nothing().await;
    let evictions = server
        .metrics()
        .await
        .sum("fanfare_idempotency_evictions_total", &[("app", "10001")]);
    assert!((1.0..10.0).contains(&evictions), "{evictions}");
    // Forgotten: it is taken for a new one.
    expect_done(&server, &keyed(0)).await;
    client.expect_event_on(&channel, "x").await;
    client.expect_nothing().await;
    server.finish().await;
}
