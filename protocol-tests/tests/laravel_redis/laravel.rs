//! Events of a Laravel application.

use protocol_tests::{RedisServer, Request, or_skip};
use serde_json::json;

use crate::support::{LaravelEvent, relay};

#[tokio::test]
async fn an_event_reaches_the_subscribers_of_each_of_its_channels() {
    let redis = RedisServer::start().await;
    let server = or_skip!(relay(&redis).await);
    let (public, private, presence) = (
        server.channel("orders."),
        server.channel("private-orders."),
        server.channel("presence-orders."),
    );
    let mut client = server.connect().await;
    client.subscribe(&public).await;
    client.subscribe(&private).await;
    client.subscribe_presence(&presence, "1", json!(null)).await;
    let channels = [
        ("public", public.as_str()),
        ("private", private.strip_prefix("private-").unwrap()),
        ("presence", presence.strip_prefix("presence-").unwrap()),
    ];
    let payload = json!({"order": {"id": 7, "by": "Änne", "tags": []}});
    let event = LaravelEvent::new("App\\Events\\OrderShipped", &channels, payload.clone());
    event.broadcast(&redis).await;
    for channel in [&public, &private, &presence] {
        let event = client
            .expect_event_on(channel, "App\\Events\\OrderShipped")
            .await;
        assert_eq!(event.data_json(), payload);
    }
    server.finish().await;
}

#[tokio::test]
async fn a_client_cannot_distinguish_the_redis_driver_from_the_pusher_driver() {
    let redis = RedisServer::start().await;
    let server = or_skip!(relay(&redis).await);
    let channel = server.channel("orders.");
    let mut client = server.connect().await;
    client.subscribe(&channel).await;
    for payload in [
        json!({"order": {"id": 7, "price": 1.5, "by": "Änne/\"\\😀"}, "socket_id": "kept"}),
        json!({}),
        json!([]),
        json!(["first", {"second": []}]),
        json!({"0": "a", "1": "b"}),
        json!({"1": "a", "0": "b"}),
        json!({"nested": {"socket": "kept", "list": [{"socket": null}]}}),
        json!({"socket": "the application's own is lost either way"}),
    ] {
        let event = LaravelEvent::new("e", &[("public", &channel)], payload.clone());
        event.broadcast(&redis).await;
        let over_redis = client.expect_event("e").await;
        let body = event.as_published_over_http().await;
        let request = Request::post(server.app(), "/events").json(&body);
        server.request(&request).await.expect_status(200);
        let over_http = client.expect_event("e").await;
        assert_eq!(over_redis.text, over_http.text, "{payload}");
    }
    server.finish().await;
}

#[tokio::test]
async fn to_others_leaves_out_the_client_that_made_the_request() {
    let redis = RedisServer::start().await;
    let server = or_skip!(relay(&redis).await);
    let channel = server.channel("orders.");
    let (mut sender, mut other) = (server.connect().await, server.connect().await);
    sender.subscribe(&channel).await;
    other.subscribe(&channel).await;
    let event = |name| LaravelEvent::new(name, &[("public", &channel)], json!({}));
    let from_sender = |name| event(name).requested_by(&sender.socket_id);
    from_sender("to-others")
        .excluding_sender()
        .broadcast(&redis)
        .await;
    from_sender("to-all").broadcast(&redis).await;
    sender.expect_event("to-all").await;
    other.expect_event("to-others").await;
    other.expect_event("to-all").await;
    server.finish().await;
}

/// While an app moves over, laravel-echo-server runs beside the relay, and pages of both send requests.
#[tokio::test]
async fn to_others_of_a_client_of_laravel_echo_server_leaves_out_nobody() {
    let redis = RedisServer::start().await;
    let server = or_skip!(relay(&redis).await);
    let channel = server.channel("orders.");
    let mut client = server.connect().await;
    client.subscribe(&channel).await;
    let event = LaravelEvent::new("e", &[("public", &channel)], json!({"a": 1}));
    let event = event.requested_by("qRZ2bBbF8YAAAB").excluding_sender();
    event.broadcast(&redis).await;
    assert_eq!(client.expect_event("e").await.data_text(), r#"{"a":1}"#);
    server.finish().await;
}
