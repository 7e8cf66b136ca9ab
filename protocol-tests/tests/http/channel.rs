//! `GET /apps/{id}/channels/{channel}`.

use protocol_tests::request::percent_encode;
use protocol_tests::{AppConfig, PublishedEvent, Request, TestServer, eventually, or_skip};
use serde_json::{Value, json};

use crate::support::{expect_refused, query, subscriber};

#[tokio::test]
async fn occupied_is_always_reported_and_nothing_else_without_info() {
    let server = TestServer::start().await;
    let (mut client, channel) = subscriber(&server, "public-").await;
    assert_eq!(
        query(&server, &channel, "").await,
        json!({"occupied": true})
    );
    client.unsubscribe(&channel).await;
    client.ping_fence().await;
    assert_eq!(
        query(&server, &channel, "").await,
        json!({"occupied": false})
    );
    server.finish().await;
}

#[tokio::test]
async fn channel_that_nobody_is_on_answers_with_counts_of_0() {
    let server = TestServer::start().await;
    let public = server.channel("public-");
    let answer = query(&server, &public, "subscription_count").await;
    assert_eq!(answer, json!({"occupied": false, "subscription_count": 0}));
    let presence = server.channel("presence-");
    let answer = query(&server, &presence, "user_count,subscription_count").await;
    assert_eq!(
        answer,
        json!({"occupied": false, "subscription_count": 0, "user_count": 0})
    );
    let cache = server.channel("cache-");
    let answer = query(&server, &cache, "cache").await;
    assert_eq!(answer, json!({"occupied": false, "cache": null}));
    server.finish().await;
}

#[tokio::test]
async fn subscription_count_counts_connections_and_user_count_users() {
    let server = TestServer::start().await;
    let channel = server.channel("presence-");
    let mut tabs = [
        server.connect().await,
        server.connect().await,
        server.connect().await,
    ];
    for (tab, user) in tabs.iter_mut().zip(["u1", "u1", "u2"]) {
        tab.subscribe_presence(&channel, user, json!({})).await;
    }
    let answer = query(&server, &channel, "user_count,subscription_count").await;
    assert_eq!(
        answer,
        json!({"occupied": true, "subscription_count": 3, "user_count": 2})
    );
    server.finish().await;
}

#[tokio::test]
async fn subscription_count_works_for_every_kind_of_channel_whatever_the_apps_option() {
    for option in [false, true] {
        let app = AppConfig::new("10001").set("subscription_count", option);
        let server = or_skip!(TestServer::builder().app(app).start().await);
        for prefix in [
            "public-",
            "private-",
            "private-encrypted-",
            "cache-",
            "private-cache-",
        ] {
            let channel = server.channel(prefix);
            let mut client = server.connect().await;
            client.send_signed_subscribe(&channel, None).await;
            client
                .wait_for_event("pusher_internal:subscription_succeeded")
                .await;
            let answer = query(&server, &channel, "subscription_count").await;
            assert_eq!(answer, json!({"occupied": true, "subscription_count": 1}));
        }
        server.finish().await;
    }
}

#[tokio::test]
async fn attribute_that_does_not_apply_is_400_naming_info() {
    let server = TestServer::start().await;
    for (channel, info) in [
        ("public", "user_count"),
        ("private-a", "user_count"),
        ("cache-a", "user_count"),
        ("presence", "user_count"),
        ("public", "cache"),
        ("presence-a", "cache"),
        ("private-encrypted-a", "cache"),
        ("cache", "cache"),
        ("public", "subscription_count,user_count"),
    ] {
        let request =
            Request::get(server.app(), &format!("/channels/{channel}")).query("info", info);
        expect_refused(&server, &request, 400, "info").await;
    }
    server.finish().await;
}

#[tokio::test]
async fn unknown_attribute_is_400_naming_info() {
    let server = TestServer::start().await;
    for info in [
        "nonsense",
        "subscription_count,nonsense",
        "occupied",
        "Cache",
    ] {
        let request = Request::get(server.app(), "/channels/public").query("info", info);
        expect_refused(&server, &request, 400, "info").await;
    }
    server.finish().await;
}

#[tokio::test]
async fn bad_channel_names_are_400_naming_the_channel() {
    let server = TestServer::start().await;
    for channel in [
        "a b",
        "a:b",
        "#a",
        "é",
        "a/b",
        "a\0",
        "a\nb",
        "%",
        &"n".repeat(165),
        ".%2e",
    ] {
        let path = format!("/channels/{}", percent_encode(channel));
        expect_refused(&server, &Request::get(server.app(), &path), 400, "channel").await;
    }
    let request = Request::get(server.app(), "/channels/%ff%fe");
    server.request(&request).await.expect_status(400);
    server.finish().await;
}

#[tokio::test]
async fn cache_is_the_last_event_byte_for_byte_and_its_time_left() {
    let server = TestServer::start().await;
    for prefix in [
        "cache-",
        "private-cache-",
        "presence-cache-",
        "private-encrypted-cache-",
    ] {
        let channel = server.channel(prefix);
        for data in ["first", "", "{\"a\": \"é \\u00e9 😀\"}\n\0"] {
            server
                .publish(PublishedEvent::new(&channel, "x", data))
                .await;
            let answer = query(&server, &channel, "cache").await;
            assert_eq!(answer["occupied"], false);
            assert_eq!(answer["cache"]["data"], data);
            let ttl = answer["cache"]["ttl"].as_u64();
            assert!(
                ttl.is_some_and(|ttl| (1700..=1800).contains(&ttl)),
                "{answer}"
            );
        }
    }
    server.finish().await;
}

#[tokio::test]
async fn cached_event_outlives_the_last_subscriber_until_its_ttl() {
    let app = AppConfig::new("10001").limit("cache_ttl", 2);
    let server = or_skip!(TestServer::builder().app(app).start().await);
    let (mut client, channel) = subscriber(&server, "cache-").await;
    client.expect_event_on(&channel, "pusher:cache_miss").await;
    server
        .publish(PublishedEvent::new(&channel, "x", "kept"))
        .await;
    client.expect_event_on(&channel, "x").await;
    client.unsubscribe(&channel).await;
    client.ping_fence().await;
    let answer = query(&server, &channel, "cache").await;
    assert_eq!(answer["occupied"], false);
    assert_eq!(answer["cache"]["data"], "kept");
    let ttl = answer["cache"]["ttl"].as_u64();
    assert!(ttl.is_some_and(|ttl| (1..=2).contains(&ttl)), "{answer}");
    eventually("the cached event to expire", || async {
        let answer = query(&server, &channel, "cache").await;
        answer["cache"].is_null().then_some(())
    })
    .await;
    client.subscribe(&channel).await;
    client.expect_event_on(&channel, "pusher:cache_miss").await;
    server.finish().await;
}

#[tokio::test]
async fn events_of_batches_many_channels_and_excluded_senders_are_cached_too() {
    let server = TestServer::start().await;
    let channel = server.channel("cache-");
    let other = server.channel("public-");
    let cached = async || query(&server, &channel, "cache").await["cache"]["data"].clone();
    let client = server.connect().await;
    let event = |data: &str| PublishedEvent::new(&channel, "x", data);
    server
        .publish(event("excluded").excluding(&client.socket_id))
        .await;
    assert_eq!(cached().await, "excluded");
    server.publish(event("many").on(&[&other, &channel])).await;
    assert_eq!(cached().await, "many");
    let request = crate::support::batch(server.app(), &[event("one of"), event("a batch")]);
    server.request(&request).await.expect_status(200);
    assert_eq!(cached().await, "a batch");
    server.finish().await;
}

#[tokio::test]
async fn server_to_user_channel_is_a_channel_like_others() {
    let server = TestServer::start().await;
    let channel = "#server-to-user-u1";
    let path = format!("/channels/{}", percent_encode(channel));
    let get = async || server.get(&path, &[("info", "subscription_count")]).await;
    assert_eq!(
        get().await,
        json!({"occupied": false, "subscription_count": 0})
    );
    let mut client = server.connect().await;
    client.sign_in("u1").await;
    client.send_subscribe(channel, None, None).await;
    client.expect_subscribed(channel).await;
    assert_eq!(
        get().await,
        json!({"occupied": true, "subscription_count": 1})
    );
    server.finish().await;
}

#[tokio::test]
async fn subscription_is_seen_as_soon_as_it_is_confirmed_and_a_leave_at_once() {
    let builder = TestServer::builder().set("server.workers", 4);
    let server = or_skip!(builder.start().await);
    let channel = server.channel("presence-");
    for round in 0..30 {
        let mut client = server.connect().await;
        client
            .subscribe_presence(&channel, &format!("u{round}"), Value::Null)
            .await;
        let answer = query(&server, &channel, "user_count").await;
        assert_eq!(answer, json!({"occupied": true, "user_count": 1}));
        client.unsubscribe(&channel).await;
        client.ping_fence().await;
        let answer = query(&server, &channel, "user_count").await;
        assert_eq!(answer, json!({"occupied": false, "user_count": 0}));
    }
    server.finish().await;
}
