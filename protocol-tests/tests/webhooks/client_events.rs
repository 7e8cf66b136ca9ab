//! What clients send each other, reported to the backend.

use protocol_tests::{AppConfig, PublishedEvent, Receiver, TestServer, or_skip};
use serde_json::{Value, json};

use crate::support::{member, receiver, relay, subscriber, talkative};

const CLIENT_EVENT: [&str; 1] = ["client_event"];

async fn expect_data(receiver: &mut Receiver, channel: &str, data: &str) {
    let event = receiver.next_event_on(channel).await;
    assert_eq!(event.json["data"], data, "{event:?}");
}

#[tokio::test]
async fn private_one_carries_event_data_and_socket_id() {
    let mut receiver = receiver().await;
    let server = or_skip!(relay(&receiver, &CLIENT_EVENT).start().await);
    for prefix in ["private-", "private-cache-"] {
        let channel = server.channel(prefix);
        let mut client = subscriber(&server, &channel).await;
        client
            .send_client_event(&channel, "client-x", json!("hello"))
            .await;
        let expected = json!({
            "name": "client_event", "channel": channel, "event": "client-x", "data": "hello",
            "socket_id": client.socket_id,
        });
        receiver.expect_event(expected).await;
    }
    receiver.expect_nothing_more();
    server.finish().await;
}

#[tokio::test]
async fn one_on_a_presence_channel_carries_the_senders_user_id_too() {
    let mut receiver = receiver().await;
    let server = or_skip!(relay(&receiver, &CLIENT_EVENT).start().await);
    for prefix in ["presence-", "presence-cache-"] {
        let channel = server.channel(prefix);
        let mut ann = member(&server, &channel, "ann").await;
        let _bob = member(&server, &channel, "bob").await;
        ann.send_json(&json!({
            "event": "client-x", "channel": channel, "data": "hello", "user_id": "eve",
            "socket_id": "1.1", "extra": 1,
        }))
        .await;
        let expected = json!({
            "name": "client_event", "channel": channel, "event": "client-x", "data": "hello",
            "socket_id": ann.socket_id, "user_id": "ann",
        });
        receiver.expect_event(expected).await;
    }
    receiver.expect_nothing_more();
    server.finish().await;
}

#[tokio::test]
async fn a_string_comes_as_it_was_and_any_other_data_as_the_text_of_its_json() {
    let mut receiver = receiver().await;
    let server = or_skip!(relay(&receiver, &CLIENT_EVENT).start().await);
    let channel = server.channel("private-");
    let mut client = subscriber(&server, &channel).await;
    for text in [
        "",
        "text",
        "{\"json\": \"in a string\"}",
        "ü€😀\u{0}\u{2028}\\\"",
        "null",
    ] {
        client
            .send_client_event(&channel, "client-x", json!(text))
            .await;
        expect_data(&mut receiver, &channel, text).await;
    }
    for data in [
        json!({"nested": {"list": [1, 2.5, "x", null, true]}, "ü": "😀\"\\"}),
        json!([]),
        json!(12345678901234u64),
        json!(-0.5),
        json!(false),
    ] {
        client
            .send_client_event(&channel, "client-x", data.clone())
            .await;
        let event = receiver.next_event_on(&channel).await;
        let text = event.json["data"].as_str().expect("data is a string");
        let reported: Value = serde_json::from_str(text).expect("data holds JSON");
        assert_eq!(reported, data);
    }
    server.finish().await;
}

#[tokio::test]
async fn data_that_is_not_there_is_left_out() {
    let mut receiver = receiver().await;
    let server = or_skip!(relay(&receiver, &CLIENT_EVENT).start().await);
    let channel = server.channel("private-");
    let mut client = subscriber(&server, &channel).await;
    for message in [
        json!({"event": "client-x", "channel": channel}),
        json!({"event": "client-x", "channel": channel, "data": null}),
    ] {
        client.send_json(&message).await;
        let expected = json!({
            "name": "client_event", "channel": channel, "event": "client-x",
            "socket_id": client.socket_id,
        });
        receiver.expect_event(expected).await;
    }
    server.finish().await;
}

#[tokio::test]
async fn the_largest_data_and_the_longest_name_come_whole() {
    let mut receiver = receiver().await;
    let server = or_skip!(relay(&receiver, &CLIENT_EVENT).start().await);
    let channel = server.channel("private-");
    let mut client = subscriber(&server, &channel).await;
    let name = format!("client-{}", "ü".repeat(193));
    let data = "x".repeat(10_238);
    client
        .send_client_event(&channel, &name, data.as_str().into())
        .await;
    let event = receiver.next_event_on(&channel).await;
    assert_eq!(event.json["event"], name.as_str());
    assert_eq!(event.json["data"], data.as_str());
    server.finish().await;
}

#[tokio::test]
async fn what_is_rejected_is_sent_to_nobody() {
    let mut receiver = receiver().await;
    let app = AppConfig::new("10001").webhook(receiver.webhook(&CLIENT_EVENT));
    let server = or_skip!(TestServer::builder().app(app).start().await);
    let public = server.channel("public-");
    let private = server.channel("private-");
    let mut client = subscriber(&server, &public).await;
    for channel in [&public, &private] {
        client
            .send_client_event(channel, "client-x", json!("where it may not"))
            .await;
        client.expect_error(Some(4301)).await;
    }
    client.subscribe(&private).await;
    client
        .send_client_event(&private, "client-x", "x".repeat(10_241).into())
        .await;
    client.expect_error(Some(4301)).await;
    let burst = 50;
    for number in 0..burst {
        client
            .send_client_event(&private, "client-x", json!(number.to_string()))
            .await;
    }
    let rejected = client.ping_fence().await.len();
    assert!(rejected > 0, "the rate was to be exceeded");
    for _ in 0..burst - rejected {
        receiver.next_event_on(&private).await;
    }
    // The allowance comes back, and what is sent then comes next.
    let marker = loop {
        client
            .send_client_event(&private, "client-x", json!("marker"))
            .await;
        if client.ping_fence().await.is_empty() {
            break receiver.next_event_on(&private).await;
        }
    };
    assert_eq!(marker.json["data"], "marker");
    receiver.expect_nothing_more();
    server.finish().await;
}

#[tokio::test]
async fn an_event_of_the_backend_named_like_one_is_none() {
    let mut receiver = receiver().await;
    let server = or_skip!(relay(&receiver, &CLIENT_EVENT).start().await);
    let channel = server.channel("private-");
    let mut client = subscriber(&server, &channel).await;
    server
        .publish(PublishedEvent::new(&channel, "client-x", "of the backend"))
        .await;
    client.expect_event_on(&channel, "client-x").await;
    client
        .send_client_event(&channel, "client-x", json!("of a client"))
        .await;
    expect_data(&mut receiver, &channel, "of a client").await;
    receiver.expect_nothing_more();
    server.finish().await;
}

#[tokio::test]
async fn each_is_sent_once_whoever_is_there_to_receive_it() {
    let mut receiver = receiver().await;
    let app = talkative().webhook(receiver.webhook(&CLIENT_EVENT));
    let builder = TestServer::builder().app(app).set("server.workers", 4);
    let server = or_skip!(builder.start().await);
    let channel = server.channel("presence-");
    let mut members = Vec::new();
    for number in 0..8 {
        members.push(member(&server, &channel, &format!("u{number}")).await);
    }
    for (number, member) in members.iter_mut().enumerate() {
        member
            .send_client_event(&channel, "client-x", json!(number.to_string()))
            .await;
        expect_data(&mut receiver, &channel, &number.to_string()).await;
    }
    receiver.expect_nothing_more();
    server.finish().await;
}
