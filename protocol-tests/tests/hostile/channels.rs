//! Channels in masses: on one connection, and one after another.

use protocol_tests::{
    AppConfig, HttpClient, PublishedEvent, Request, TestServer, WsClient, or_skip,
};
use serde_json::json;

use crate::support::{assert_unharmed, resident_memory, scrape, series};

async fn send_subscribes(client: &mut WsClient, base: &str, numbers: std::ops::Range<usize>) {
    for number in numbers {
        client
            .send_subscribe(&format!("{base}-{number}"), None, None)
            .await;
    }
}

#[tokio::test]
async fn connection_may_be_on_1000_channels_and_no_more() {
    let server = TestServer::start().await;
    let base = server.channel("many-");
    let mut client = server.connect().await;
    send_subscribes(&mut client, &base, 0..1000).await;
    for event in client.next_events(1000).await {
        assert_eq!(
            event.name, "pusher_internal:subscription_succeeded",
            "{}",
            event.text
        );
    }
    send_subscribes(&mut client, &base, 1000..3000).await;
    for number in 1000..3000 {
        let error = client
            .expect_subscription_error(&format!("{base}-{number}"))
            .await;
        assert_eq!(error.data["type"], "LimitReached");
    }
    // Again on one it is on already, and on another in place of one it has left.
    send_subscribes(&mut client, &base, 0..1).await;
    client.expect_subscribed(&format!("{base}-0")).await;
    client.unsubscribe(&format!("{base}-1")).await;
    send_subscribes(&mut client, &base, 5000..5001).await;
    client.expect_subscribed(&format!("{base}-5000")).await;
    server
        .publish(PublishedEvent::new(&format!("{base}-5000"), "x", ""))
        .await;
    client.expect_event("x").await;
    send_subscribes(&mut client, &base, 9000..9001).await;
    let error = client
        .expect_subscription_error(&format!("{base}-9000"))
        .await;
    assert_eq!(error.data["type"], "LimitReached");
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn number_of_channels_is_configurable_and_counts_every_kind() {
    let app = AppConfig::new("10001").limit("channels_per_connection", 3);
    let server = or_skip!(TestServer::builder().app(app).start().await);
    let mut client = server.connect().await;
    client.subscribe(&server.channel("public-")).await;
    client.subscribe(&server.channel("private-")).await;
    client
        .subscribe_presence(&server.channel("presence-"), "u1", json!({}))
        .await;
    for prefix in ["public-", "private-", "presence-"] {
        let channel = server.channel(prefix);
        client
            .send_signed_subscribe(&channel, Some(r#"{"user_id":"u1"}"#))
            .await;
        let error = client.expect_subscription_error(&channel).await;
        assert_eq!(error.data["type"], "LimitReached");
    }
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn ten_thousand_channels_that_came_and_went_leave_nothing_behind() {
    let app = AppConfig::new("10001").limit("messages_per_second", 1_000_000);
    let builder = TestServer::builder().app(app).own_process();
    let server = or_skip!(builder.start().await);
    let mut client = server.connect().await;
    client.ping_fence().await;
    let before = series(&scrape(&server).await);
    let base = server.channel("passing-");
    let round = async |client: &mut WsClient, round: usize| {
        let numbers = round * 500..(round + 1) * 500;
        send_subscribes(client, &base, numbers.clone()).await;
        client.next_events(500).await;
        for number in numbers {
            client.unsubscribe(&format!("{base}-{number}")).await;
        }
        assert!(client.ping_fence().await.is_empty());
    };
    for number in 0..20 {
        round(&mut client, number).await;
    }
    let metrics = server.metrics().await;
    for gauge in ["fanfare_channels", "fanfare_subscriptions"] {
        assert_eq!(metrics.sum(gauge, &[]), 0.0, "{gauge}");
    }
    assert_eq!(
        series(&scrape(&server).await),
        before,
        "no label set was added"
    );
    assert!(
        !scrape(&server).await.contains(&base),
        "no channel is a label"
    );
    // Ten thousand more, and memory stays where it is.
    let memory = resident_memory(&server);
    for number in 20..40 {
        round(&mut client, number).await;
    }
    let grown = resident_memory(&server).saturating_sub(memory);
    assert!(grown < 4 << 20, "{grown} bytes more");
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn channels_that_are_only_asked_about_or_published_to_leave_nothing_behind() {
    let server = or_skip!(TestServer::builder().own_process().start().await);
    let base = server.channel("nobody-");
    let mut http = server.http();
    let ask = async |http: &mut HttpClient, numbers: std::ops::Range<usize>| {
        for number in numbers {
            let channel = format!("{base}-{number}");
            let event = PublishedEvent::new(&channel, "x", "x".repeat(1000));
            let publish = Request::post(server.app(), "/events").json(event.body());
            http.send(&publish).await.expect_status(200);
            let query = Request::get(server.app(), &format!("/channels/{channel}"));
            http.send(&query).await.expect_status(200);
        }
    };
    ask(&mut http, 0..2000).await;
    let memory = resident_memory(&server);
    ask(&mut http, 2000..6000).await;
    let grown = resident_memory(&server).saturating_sub(memory);
    assert!(grown < 4 << 20, "{grown} bytes more");
    assert_eq!(server.metrics().await.sum("fanfare_channels", &[]), 0.0);
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn cached_events_are_bounded_however_many_channels_there_are() {
    const CACHE: f64 = 1_000_000.0;
    let app = AppConfig::new("10001").limit("cache_bytes", CACHE as i64);
    let server = or_skip!(TestServer::builder().app(app).start().await);
    let base = server.channel("cache-");
    let mut http = server.http();
    for number in 0..1000 {
        let event = PublishedEvent::new(&format!("{base}-{number}"), "x", "x".repeat(10_000));
        let request = Request::post(server.app(), "/events").json(event.body());
        http.send(&request).await.expect_status(200);
    }
    let cached = server.metrics().await.sum("fanfare_cached_bytes", &[]);
    assert!(cached <= CACHE, "{cached}");
    let first = server
        .get(&format!("/channels/{base}-0"), &[("info", "cache")])
        .await;
    assert!(
        first["cache"].is_null(),
        "the least recently used went first"
    );
    let last = server
        .get(&format!("/channels/{base}-999"), &[("info", "cache")])
        .await;
    assert_eq!(last["cache"]["data"].as_str().map(str::len), Some(10_000));
    assert_unharmed(&server).await;
    server.finish().await;
}
