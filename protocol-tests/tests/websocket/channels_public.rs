//! Channel names, subscribing and unsubscribing, delivery: what all channels share, on public ones.

use protocol_tests::{AppConfig, PublishedEvent, Request, TestServer, or_skip};
use serde_json::json;

use crate::support::{assert_members, assert_served};

#[tokio::test]
async fn subscribing_is_answered_with_subscription_succeeded() {
    let server = TestServer::start().await;
    let channel = server.channel("public-");
    let mut client = server.connect().await;
    client.send_subscribe(&channel, None, None).await;
    let event = client.expect_subscribed(&channel).await;
    assert_members(&event, &["event", "channel", "data"]);
    assert_eq!(event.data, "{}");
    server.finish().await;
}

#[tokio::test]
async fn every_documented_character_is_allowed_in_a_name() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    let channel = server.channel("AZaz09_-=@,.;");
    client.subscribe(&channel).await;
    server
        .publish(PublishedEvent::new(&channel, "x", "y"))
        .await;
    client.expect_event_on(&channel, "x").await;
    client.subscribe("a").await;
    client.unsubscribe("a").await;
    server.finish().await;
}

#[tokio::test]
async fn names_of_1_to_164_characters_are_allowed() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    let padded = |length: usize| format!("{:x<length$}", server.channel("long-"));
    client.subscribe(&padded(164)).await;
    for channel in [String::new(), padded(165), padded(1000)] {
        client.send_subscribe(&channel, None, None).await;
        let event = client.expect_event("pusher:subscription_error").await;
        assert_eq!(event.channel(), channel);
        assert!(event.data["type"].is_string(), "{}", event.text);
    }
    assert_served(&server, &mut client).await;
    server.finish().await;
}

#[tokio::test]
async fn length_of_names_includes_the_prefix() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    let channel = format!("{:x<165}", server.channel("private-"));
    client.send_signed_subscribe(&channel, None).await;
    client.expect_subscription_error(&channel).await;
    client.subscribe(&channel[..164]).await;
    server.finish().await;
}

#[tokio::test]
async fn length_of_names_can_be_configured_up_to_200() {
    let app = AppConfig::new("10001").limit("channel_name_length", 200);
    let server = or_skip!(TestServer::builder().app(app).start().await);
    let mut client = server.connect().await;
    let channel = format!("{:x<201}", server.channel("long-"));
    client.send_subscribe(&channel, None, None).await;
    client.expect_subscription_error(&channel).await;
    client.subscribe(&channel[..200]).await;
    server.finish().await;
}

#[tokio::test]
async fn other_characters_are_refused_and_the_connection_stays_open() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    for character in " /:\\\"'?!*+%&|~^<>()[]{}$`\n\0ü€😀".chars() {
        for channel in [format!("a{character}b"), format!("private-{character}")] {
            client.send_signed_subscribe(&channel, None).await;
            client.expect_subscription_error(&channel).await;
        }
    }
    assert_served(&server, &mut client).await;
    server.finish().await;
}

#[tokio::test]
async fn names_with_a_hash_are_refused_for_subscribing_and_publishing() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    for channel in [
        "#",
        "#x",
        "#private-x",
        "#server-to-user",
        "#server-to-users-1",
        "a#b",
        "##server-to-user-1",
    ] {
        client.send_subscribe(channel, None, None).await;
        client.expect_subscription_error(channel).await;
        let body = json!({"name": "x", "channel": channel, "data": "y"});
        let request = Request::post(server.app(), "/events").json(&body);
        server.request(&request).await.expect_status(400);
    }
    assert_served(&server, &mut client).await;
    server.finish().await;
}

#[tokio::test]
async fn subscribing_twice_is_answered_with_success_again_and_changes_nothing() {
    let server = TestServer::start().await;
    let channel = server.channel("twice-");
    let mut client = server.connect().await;
    client.subscribe(&channel).await;
    client.subscribe(&channel).await;
    let info = server
        .get(
            &format!("/channels/{channel}"),
            &[("info", "subscription_count")],
        )
        .await;
    assert_eq!(info["subscription_count"], 1);
    server
        .publish(PublishedEvent::new(&channel, "once", ""))
        .await;
    client.expect_event_on(&channel, "once").await;
    client.expect_nothing().await;
    client.unsubscribe(&channel).await;
    client.ping_fence().await;
    let info = server.get(&format!("/channels/{channel}"), &[]).await;
    assert_eq!(info["occupied"], false);
    server.finish().await;
}

#[tokio::test]
async fn unsubscribing_is_not_answered_and_ends_delivery() {
    let server = TestServer::start().await;
    let channel = server.channel("leave-");
    let mut client = server.connect().await;
    let mut other = server.connect().await;
    client.subscribe(&channel).await;
    other.subscribe(&channel).await;
    client.unsubscribe(&channel).await;
    client.expect_nothing().await;
    server.publish(PublishedEvent::new(&channel, "x", "")).await;
    other.expect_event_on(&channel, "x").await;
    client.expect_nothing().await;
    client.subscribe(&channel).await;
    server.publish(PublishedEvent::new(&channel, "y", "")).await;
    client.expect_event_on(&channel, "y").await;
    server.finish().await;
}

#[tokio::test]
async fn unsubscribing_from_a_channel_one_is_not_on_does_no_harm() {
    let server = TestServer::start().await;
    let channel = server.channel("never-");
    let mut watcher = server.connect().await;
    watcher.subscribe(&channel).await;
    let mut client = server.connect().await;
    client.unsubscribe(&channel).await;
    client.unsubscribe(&server.channel("private-")).await;
    client.expect_nothing().await;
    let info = server
        .get(
            &format!("/channels/{channel}"),
            &[("info", "subscription_count")],
        )
        .await;
    assert_eq!(info["subscription_count"], 1);
    server.finish().await;
}

#[tokio::test]
async fn auth_and_channel_data_are_ignored_on_a_public_channel() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    for channel in [server.channel("public-"), server.channel("cache-")] {
        client
            .send_subscribe(&channel, Some("no:signature"), Some("no JSON"))
            .await;
        client.expect_subscribed(&channel).await;
        client.ping_fence().await;
        let data = json!({"channel": channel, "auth": 7, "channel_data": {"user_id": []}});
        client.send_event("pusher:subscribe", data).await;
        client.expect_subscribed(&channel).await;
        client.ping_fence().await;
    }
    server.finish().await;
}

#[tokio::test]
async fn null_in_an_optional_field_is_the_same_as_none() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    let channel = server.channel("public-");
    let data = json!({"channel": channel, "auth": null, "channel_data": null});
    client.send_event("pusher:subscribe", data).await;
    client.expect_subscribed(&channel).await;
    let channel = server.channel("private-");
    let auth = client.app.channel_auth(&client.socket_id, &channel, None);
    let data = json!({"channel": channel, "auth": auth, "channel_data": null});
    client.send_event("pusher:subscribe", data).await;
    client.expect_subscribed(&channel).await;
    server.finish().await;
}

#[tokio::test]
async fn only_the_exact_prefixes_give_a_channel_its_kind() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    for prefix in [
        "privatefoo-",
        "private",
        "private_",
        "Private-",
        "PRIVATE-",
        "xprivate-",
        "my-private-",
        "presencefoo-",
        "Presence-",
        "presence",
        "my-presence-",
        "cachefoo-",
        "Cache-",
        "my-cache-",
        "encrypted-",
        "-private-",
    ] {
        let channel = server.channel(prefix);
        client.send_subscribe(&channel, None, None).await;
        assert_eq!(client.expect_subscribed(&channel).await.data, "{}");
        // No cache_miss either.
        client.expect_nothing().await;
    }
    server.finish().await;
}

#[tokio::test]
async fn delivered_event_has_event_channel_and_data_only() {
    let server = TestServer::start().await;
    let channel = server.channel("event-");
    let mut client = server.connect().await;
    client.subscribe(&channel).await;
    server
        .publish(PublishedEvent::new(&channel, "greeting", r#"{"a":1}"#))
        .await;
    let event = client.expect_event_on(&channel, "greeting").await;
    assert_members(&event, &["event", "channel", "data"]);
    assert_eq!(event.data, r#"{"a":1}"#);
    server.finish().await;
}

#[tokio::test]
async fn data_string_reaches_the_client_byte_for_byte() {
    let server = TestServer::start().await;
    let channel = server.channel("bytes-");
    let mut client = server.connect().await;
    client.subscribe(&channel).await;
    for data in [
        "",
        " ",
        "plain",
        "null",
        r#"{ "b" : 1.0,  "a": 1e3 , "a": "\u00e9 \/" }"#,
        "quotes \" and \\ back\\\\slashes",
        "line\nfeed\r\n\ttab",
        "\u{0}\u{1}\u{1f}\u{7f}\u{2028}\u{2029}",
        "ü € 😀 \u{10ffff} \u{feff}",
        "</script><!--",
    ] {
        server
            .publish(PublishedEvent::new(&channel, "data", data))
            .await;
        assert_eq!(
            client.expect_event_on(&channel, "data").await.data_text(),
            data
        );
    }
    let largest = "x".repeat(10_240);
    server
        .publish(PublishedEvent::new(&channel, "data", largest.as_str()))
        .await;
    assert_eq!(
        client.expect_event_on(&channel, "data").await.data_text(),
        largest
    );
    server.finish().await;
}

#[tokio::test]
async fn data_that_is_no_string_is_delivered_as_a_string_of_its_json() {
    let server = TestServer::start().await;
    let channel = server.channel("json-");
    let mut client = server.connect().await;
    client.subscribe(&channel).await;
    for data in [json!({"a": [1, null]}), json!([]), json!(7), json!(false)] {
        server
            .publish(PublishedEvent::new(&channel, "data", data.clone()))
            .await;
        assert_eq!(
            client.expect_event_on(&channel, "data").await.data_json(),
            data
        );
    }
    server.finish().await;
}

#[tokio::test]
async fn event_names_are_free_text_apart_from_the_reserved_prefixes() {
    let server = TestServer::start().await;
    let channel = server.channel("names-");
    let mut client = server.connect().await;
    client.subscribe(&channel).await;
    let longest = "n".repeat(200);
    for name in [
        "App\\Events\\OrderShipped",
        ".dotted",
        "with spaces and \"quotes\"",
        "ü-€-😀",
        "client-from-the-server",
        "pusher",
        "pusher-x",
        "pusher_x",
        "Pusher:x",
        "my pusher:x",
        longest.as_str(),
    ] {
        server
            .publish(PublishedEvent::new(&channel, name, ""))
            .await;
        client.expect_event_on(&channel, name).await;
    }
    server.finish().await;
}

#[tokio::test]
async fn event_names_with_a_reserved_prefix_cannot_be_published() {
    // Soketi, Sockudo and Reverb all published them, so that anyone with a key pair could speak as the server.
    let server = TestServer::start().await;
    let channel = server.channel("names-");
    let mut client = server.connect().await;
    client.subscribe(&channel).await;
    for name in [
        "pusher:error",
        "pusher:x",
        "pusher:",
        "pusher_internal:member_added",
        "pusher_internal:",
    ] {
        let event = PublishedEvent::new(&channel, name, "{}");
        let request = Request::post(server.app(), "/events").json(event.body());
        server.request(&request).await.expect_status(400);
    }
    client.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn excluded_connection_does_not_receive_the_event() {
    let server = TestServer::start().await;
    let channel = server.channel("others-");
    let mut sender = server.connect().await;
    let mut other = server.connect().await;
    sender.subscribe(&channel).await;
    other.subscribe(&channel).await;
    let event = PublishedEvent::new(&channel, "to-others", "").excluding(&sender.socket_id);
    server.publish(event).await;
    other.expect_event_on(&channel, "to-others").await;
    sender.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn socket_id_that_is_not_connected_or_null_excludes_nobody() {
    let server = TestServer::start().await;
    let channel = server.channel("others-");
    let mut client = server.connect().await;
    client.subscribe(&channel).await;
    let event = PublishedEvent::new(&channel, "x", "");
    server.publish(event.clone().excluding("1.1")).await;
    client.expect_event_on(&channel, "x").await;
    server.publish(event.with("socket_id", json!(null))).await;
    client.expect_event_on(&channel, "x").await;
    server.finish().await;
}

#[tokio::test]
async fn event_on_many_channels_arrives_once_for_each_that_one_is_on() {
    let server = TestServer::start().await;
    let channels: Vec<String> = (0..100).map(|_| server.channel("many-")).collect();
    let mut client = server.connect().await;
    for channel in &channels[..50] {
        client.subscribe(channel).await;
    }
    let names: Vec<&str> = channels.iter().map(String::as_str).collect();
    server
        .publish(PublishedEvent::new("", "x", "").on(&names))
        .await;
    let mut received: Vec<String> = Vec::new();
    for event in client.next_events(50).await {
        assert_eq!(event.name, "x");
        received.push(event.channel().to_owned());
    }
    received.sort();
    let mut expected = channels[..50].to_vec();
    expected.sort();
    assert_eq!(received, expected);
    client.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn once_subscription_succeeded_is_sent_queries_and_publishes_see_it() {
    // Sockudo's channel list was seconds old.
    let server = TestServer::start().await;
    for _ in 0..50 {
        let channel = server.channel("seen-");
        let mut client = server.connect().await;
        client.subscribe(&channel).await;
        let channels = server
            .get("/channels", &[("filter_by_prefix", &channel)])
            .await;
        assert_eq!(channels, json!({"channels": {&channel: {}}}));
        server.publish(PublishedEvent::new(&channel, "x", "")).await;
        client.expect_event_on(&channel, "x").await;
    }
    server.finish().await;
}

#[tokio::test]
async fn hundreds_of_channels_on_a_connection_are_normal() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    let channels: Vec<String> = (0..600).map(|_| server.channel("hundreds-")).collect();
    for channel in &channels {
        client.send_subscribe(channel, None, None).await;
    }
    for channel in &channels {
        client.expect_subscribed(channel).await;
    }
    for channel in [&channels[0], &channels[299], &channels[599]] {
        server.publish(PublishedEvent::new(channel, "x", "")).await;
        client.expect_event_on(channel, "x").await;
    }
    server.finish().await;
}

#[tokio::test]
async fn channels_of_a_connection_are_limited_as_configured() {
    let app = AppConfig::new("10001").limit("channels_per_connection", 3);
    let server = or_skip!(TestServer::builder().app(app).start().await);
    let mut client = server.connect().await;
    let channels: Vec<String> = (0..4).map(|_| server.channel("limited-")).collect();
    for channel in &channels[..3] {
        client.subscribe(channel).await;
    }
    client.send_subscribe(&channels[3], None, None).await;
    let error = client.expect_subscription_error(&channels[3]).await;
    assert_eq!(error.data["type"], "LimitReached");
    // One that it is on already counts once.
    client.subscribe(&channels[0]).await;
    client.unsubscribe(&channels[1]).await;
    client.subscribe(&channels[3]).await;
    server.finish().await;
}
