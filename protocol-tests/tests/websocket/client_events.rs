//! Client events: from one subscriber to all others.

use std::time::Instant;

use protocol_tests::{AppConfig, PATIENCE, PublishedEvent, TestServer, WsClient, or_skip};
use serde_json::{Value, json};

use crate::support::{assert_members, assert_served, send_numbered};

/// A sender and a receiver on one channel of any kind but presence.
async fn pair(server: &TestServer, channel: &str) -> (WsClient, WsClient) {
    let mut sender = server.connect().await;
    let mut receiver = server.connect().await;
    for client in [&mut sender, &mut receiver] {
        client.subscribe(channel).await;
        client.ping_fence().await;
    }
    (sender, receiver)
}

async fn expect_rejected(sender: &mut WsClient) {
    sender.expect_error(Some(4301)).await;
}

#[tokio::test]
async fn private_client_event_goes_to_all_others_with_event_channel_and_data_only() {
    let server = TestServer::start().await;
    for prefix in ["private-", "private-cache-"] {
        let channel = server.channel(prefix);
        let (mut sender, mut receiver) = pair(&server, &channel).await;
        let mut third = server.connect().await;
        third.subscribe(&channel).await;
        third.ping_fence().await;
        sender
            .send_client_event(&channel, "client-x", json!({"a": 1}))
            .await;
        for client in [&mut receiver, &mut third] {
            let event = client.expect_event_on(&channel, "client-x").await;
            assert_members(&event, &["event", "channel", "data"]);
            assert_eq!(event.data, json!({"a": 1}));
        }
        sender.expect_nothing().await;
    }
    server.finish().await;
}

#[tokio::test]
async fn presence_client_event_carries_the_senders_user_id() {
    // Sockudo left it out.
    let server = TestServer::start().await;
    for prefix in ["presence-", "presence-cache-"] {
        let channel = server.channel(prefix);
        let mut sender = server.connect().await;
        sender.subscribe_presence(&channel, "ann", json!({})).await;
        let mut receiver = server.connect().await;
        receiver
            .subscribe_presence(&channel, "bob", json!({}))
            .await;
        sender.fence().await;
        receiver.fence().await;
        sender
            .send_client_event(&channel, "client-x", json!("hello"))
            .await;
        let event = receiver.expect_event_on(&channel, "client-x").await;
        assert_members(&event, &["event", "channel", "data", "user_id"]);
        assert_eq!(event.message["user_id"], "ann");
        sender.expect_nothing().await;
    }
    server.finish().await;
}

#[tokio::test]
async fn own_further_connections_are_others_too() {
    let server = TestServer::start().await;
    let channel = server.channel("presence-");
    let mut first = server.connect().await;
    first.subscribe_presence(&channel, "ann", json!({})).await;
    let mut second = server.connect().await;
    second.subscribe_presence(&channel, "ann", json!({})).await;
    first
        .send_client_event(&channel, "client-x", json!(1))
        .await;
    second.expect_event_on(&channel, "client-x").await;
    server.finish().await;
}

#[tokio::test]
async fn data_keeps_its_type() {
    let server = TestServer::start().await;
    let channel = server.channel("private-");
    let (mut sender, mut receiver) = pair(&server, &channel).await;
    for data in [
        json!({"nested": {"list": [1, 2.5, "x", null, true]}}),
        json!([]),
        json!("text"),
        json!("{\"json\":\"in a string\"}"),
        json!(""),
        json!(12345678901234u64),
        json!(false),
        json!("ü€😀\u{0}\u{2028}"),
    ] {
        sender
            .send_client_event(&channel, "client-x", data.clone())
            .await;
        assert_eq!(
            receiver.expect_event_on(&channel, "client-x").await.data,
            data
        );
    }
    server.finish().await;
}

#[tokio::test]
async fn any_other_field_of_the_message_is_dropped() {
    let server = TestServer::start().await;
    let channel = server.channel("private-");
    let (mut sender, mut receiver) = pair(&server, &channel).await;
    sender
        .send_json(&json!({
            "event": "client-x", "channel": channel, "data": 1,
            "user_id": "somebody else", "socket_id": "1.1", "extra": {"a": 1},
        }))
        .await;
    let event = receiver.expect_event_on(&channel, "client-x").await;
    assert_members(&event, &["event", "channel", "data"]);
    let channel = server.channel("presence-");
    sender.subscribe_presence(&channel, "ann", json!({})).await;
    receiver
        .subscribe_presence(&channel, "bob", json!({}))
        .await;
    sender
        .send_json(&json!({"event": "client-x", "channel": channel, "data": 1, "user_id": "eve"}))
        .await;
    let event = receiver.expect_event_on(&channel, "client-x").await;
    assert_eq!(event.message["user_id"], "ann");
    server.finish().await;
}

#[tokio::test]
async fn public_and_user_channels_refuse_client_events_with_4301() {
    // Soketi passed them on, on public channels and on #server-to-user- ones.
    let server = TestServer::start().await;
    for prefix in ["public-", "cache-"] {
        let channel = server.channel(prefix);
        let (mut sender, mut receiver) = pair(&server, &channel).await;
        sender
            .send_client_event(&channel, "client-x", json!(1))
            .await;
        expect_rejected(&mut sender).await;
        receiver.expect_nothing().await;
    }
    let user_id = server.channel("user-");
    let channel = format!("#server-to-user-{user_id}");
    let mut tabs = [server.connect().await, server.connect().await];
    for tab in &mut tabs {
        tab.sign_in(&user_id).await;
        tab.subscribe(&channel).await;
    }
    tabs[0]
        .send_client_event(&channel, "client-x", json!(1))
        .await;
    expect_rejected(&mut tabs[0]).await;
    tabs[1].expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn only_subscribers_may_send() {
    let server = TestServer::start().await;
    let channel = server.channel("private-");
    let mut receiver = server.connect().await;
    receiver.subscribe(&channel).await;
    let mut sender = server.connect().await;
    sender
        .send_client_event(&channel, "client-x", json!("never on it"))
        .await;
    expect_rejected(&mut sender).await;
    sender.subscribe(&channel).await;
    sender.unsubscribe(&channel).await;
    sender
        .send_client_event(&channel, "client-x", json!("no longer on it"))
        .await;
    expect_rejected(&mut sender).await;
    sender.send_subscribe(&channel, Some("a:b"), None).await;
    sender.expect_subscription_error(&channel).await;
    sender
        .send_client_event(&channel, "client-x", json!("not let in"))
        .await;
    expect_rejected(&mut sender).await;
    receiver.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn app_may_forbid_them() {
    let app = AppConfig::new("10001").set("client_events", false);
    let server = or_skip!(TestServer::builder().app(app).start().await);
    let channel = server.channel("private-");
    let (mut sender, mut receiver) = pair(&server, &channel).await;
    sender
        .send_client_event(&channel, "client-x", json!(1))
        .await;
    expect_rejected(&mut sender).await;
    receiver.expect_nothing().await;
    assert_served(&server, &mut sender).await;
    server.finish().await;
}

#[tokio::test]
async fn ten_at_once_pass_and_those_over_the_rate_are_rejected() {
    let server = TestServer::start().await;
    let channel = server.channel("private-");
    let (mut sender, mut receiver) = pair(&server, &channel).await;
    send_numbered(&mut sender, &channel, 0..10).await;
    for number in 0..10 {
        assert_eq!(
            receiver.expect_event("client-number").await.data,
            json!(number)
        );
    }
    sender.expect_nothing().await;
    // Far more than can have been allowed again in the meantime: passed and rejected ones add up.
    let burst = 100;
    send_numbered(&mut sender, &channel, 10..10 + burst).await;
    let rejections = sender.ping_fence().await;
    for rejection in &rejections {
        assert_eq!(rejection.error_code(), Some(4301), "{}", rejection.text);
    }
    let passed: Vec<Value> = receiver
        .fence()
        .await
        .into_iter()
        .map(|event| event.data)
        .collect();
    assert_eq!(passed.len() + rejections.len(), burst as usize);
    assert!(rejections.len() > 20, "only {} rejected", rejections.len());
    let mut sorted = passed.clone();
    sorted.sort_by_key(Value::as_u64);
    sorted.dedup();
    assert_eq!(passed, sorted, "in order and none twice");
    server.finish().await;
}

#[tokio::test]
async fn rate_is_configurable_and_each_connections_own_and_comes_back() {
    let app = AppConfig::new("10001").limit("client_events_per_second", 2);
    let server = or_skip!(TestServer::builder().app(app).start().await);
    let channel = server.channel("private-");
    let (mut first, mut second) = pair(&server, &channel).await;
    send_numbered(&mut first, &channel, 0..20).await;
    let rejected = first.ping_fence().await.len();
    assert!(
        (10..=18).contains(&rejected),
        "{rejected} of 20 were rejected"
    );
    second.fence().await;
    send_numbered(&mut second, &channel, 0..2).await;
    second.expect_nothing().await;
    let deadline = Instant::now() + PATIENCE;
    loop {
        send_numbered(&mut first, &channel, 0..1).await;
        if first
            .ping_fence()
            .await
            .iter()
            .all(|answer| answer.name != "pusher:error")
        {
            break;
        }
        assert!(Instant::now() < deadline, "the allowance never came back");
    }
    server.finish().await;
}

#[tokio::test]
async fn pings_and_subscriptions_do_not_count() {
    let server = TestServer::start().await;
    let channel = server.channel("private-");
    let (mut sender, mut receiver) = pair(&server, &channel).await;
    for _ in 0..30 {
        sender.ping_fence().await;
        let other = server.channel("private-");
        sender.subscribe(&other).await;
        sender.unsubscribe(&other).await;
    }
    send_numbered(&mut sender, &channel, 0..10).await;
    for number in 0..10 {
        assert_eq!(
            receiver.expect_event("client-number").await.data,
            json!(number)
        );
    }
    sender.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn names_have_up_to_200_characters() {
    let server = TestServer::start().await;
    let channel = server.channel("private-");
    let (mut sender, mut receiver) = pair(&server, &channel).await;
    let longest = format!("client-{}", "ü".repeat(193));
    sender.send_client_event(&channel, &longest, json!(1)).await;
    receiver.expect_event_on(&channel, &longest).await;
    sender
        .send_client_event(&channel, &format!("{longest}x"), json!(1))
        .await;
    expect_rejected(&mut sender).await;
    receiver.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn data_has_up_to_the_payload_limit() {
    let server = TestServer::start().await;
    let channel = server.channel("private-");
    let (mut sender, mut receiver) = pair(&server, &channel).await;
    let fits = "x".repeat(10_238);
    sender
        .send_client_event(&channel, "client-x", fits.as_str().into())
        .await;
    assert_eq!(
        receiver.expect_event_on(&channel, "client-x").await.data,
        fits
    );
    sender
        .send_client_event(&channel, "client-x", "x".repeat(10_241).into())
        .await;
    expect_rejected(&mut sender).await;
    receiver.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn rejection_explains_why_and_the_connection_stays_open() {
    let server = TestServer::start().await;
    let channel = server.channel("private-");
    let mut sender = server.connect().await;
    for message in [
        json!({"event": "client-x", "data": 1}),
        json!({"event": "client-x", "channel": null, "data": 1}),
        json!({"event": "client-x", "channel": "no such/name", "data": 1}),
        json!({"event": "client-x", "channel": channel, "data": 1}),
    ] {
        sender.send_json(&message).await;
        expect_rejected(&mut sender).await;
    }
    assert_served(&server, &mut sender).await;
    server.finish().await;
}

#[tokio::test]
async fn server_may_publish_an_event_named_like_one() {
    let server = TestServer::start().await;
    let channel = server.channel("private-");
    let mut client = server.connect().await;
    client.subscribe(&channel).await;
    server
        .publish(PublishedEvent::new(&channel, "client-x", "from the server"))
        .await;
    assert_eq!(
        client.expect_event_on(&channel, "client-x").await.data,
        "from the server"
    );
    server.finish().await;
}
