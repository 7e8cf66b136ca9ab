//! `POST /apps/{id}/events`: who receives what, and which channels an event may name.

use protocol_tests::{AppConfig, PublishedEvent, TestServer, WsClient, or_skip};
use serde_json::json;

use crate::support::{expect_refused, publish, subscriber};

#[tokio::test]
async fn event_on_one_channel_is_answered_with_an_empty_object_and_delivered() {
    let server = TestServer::start().await;
    for prefix in ["public-", "private-", "private-encrypted-"] {
        let (mut client, channel) = subscriber(&server, prefix).await;
        let event = PublishedEvent::new(&channel, "greeting", "hello");
        let by_channel = server.publish(event.clone()).await;
        let by_channels = server.publish(event.on(&[&channel])).await;
        for answer in [by_channel, by_channels] {
            assert_eq!(answer, json!({}));
            let event = client.next_event().await;
            let expected = json!({"event": "greeting", "channel": channel, "data": "hello"});
            assert_eq!(event.message, expected);
        }
        client.expect_nothing().await;
    }
    server.finish().await;
}

#[tokio::test]
async fn event_reaches_presence_members_without_a_user_id() {
    let server = TestServer::start().await;
    let channel = server.channel("presence-");
    let mut client = server.connect().await;
    client.subscribe_presence(&channel, "u1", json!({})).await;
    server
        .publish(PublishedEvent::new(&channel, "x", "y"))
        .await;
    let event = client.next_event().await;
    assert_eq!(
        event.message,
        json!({"event": "x", "channel": channel, "data": "y"})
    );
    server.finish().await;
}

#[tokio::test]
async fn event_on_several_channels_reaches_each_of_them_once() {
    let server = TestServer::start().await;
    let channels = [
        server.channel("public-"),
        server.channel("private-"),
        server.channel("cache-"),
    ];
    let mut everywhere = server.connect().await;
    let mut on_one = server.connect().await;
    everywhere.subscribe(&channels[0]).await;
    everywhere.subscribe(&channels[1]).await;
    on_one.subscribe(&channels[1]).await;
    let names: Vec<&str> = channels.iter().map(String::as_str).collect();
    let event = PublishedEvent::new("", "x", "y").on(&names);
    assert_eq!(server.publish(event).await, json!({}));
    for channel in &channels[..2] {
        let event = everywhere.expect_event_on(channel, "x").await;
        assert_eq!(event.data_text(), "y");
    }
    on_one.expect_event_on(&channels[1], "x").await;
    everywhere.expect_nothing().await;
    on_one.expect_nothing().await;
    server.finish().await;
}

/// Names of channels of which a client is on the first and the last.
async fn many_channels(server: &TestServer, count: usize) -> (WsClient, Vec<String>) {
    let base = server.channel("many-");
    let channels: Vec<String> = (0..count)
        .map(|number| format!("{base}-{number}"))
        .collect();
    let mut client = server.connect().await;
    client.subscribe(&channels[0]).await;
    client.subscribe(&channels[count - 1]).await;
    (client, channels)
}

fn on(channels: &[String]) -> PublishedEvent {
    let names: Vec<&str> = channels.iter().map(String::as_str).collect();
    PublishedEvent::new("", "x", "y").on(&names)
}

#[tokio::test]
async fn event_may_name_100_channels_and_no_more() {
    let server = TestServer::start().await;
    let (mut client, channels) = many_channels(&server, 101).await;
    let request = publish(server.app(), &on(&channels));
    expect_refused(&server, &request, 400, "channels").await;
    client.expect_nothing().await;
    server.publish(on(&channels[..100])).await;
    client.expect_event_on(&channels[0], "x").await;
    server.publish(on(&channels[1..])).await;
    client.expect_event_on(&channels[100], "x").await;
    client.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn number_of_channels_is_configurable() {
    let app = AppConfig::new("10001").limit("channels_per_event", 2);
    let server = or_skip!(TestServer::builder().app(app).start().await);
    let (mut client, channels) = many_channels(&server, 3).await;
    let request = publish(server.app(), &on(&channels));
    expect_refused(&server, &request, 400, "channels").await;
    server.publish(on(&channels[..2])).await;
    client.expect_event_on(&channels[0], "x").await;
    client.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn channel_names_have_1_to_164_characters_of_the_alphabet() {
    let server = TestServer::start().await;
    let event = |channel: &str| PublishedEvent::new(channel, "x", "");
    let alphabet = "ABCXYZabcxyz0189_-=@,.;";
    for good in [alphabet, "a", "-", &"n".repeat(164), "#server-to-user-1"] {
        server.publish(event(good)).await;
        server.publish(event("").on(&[good])).await;
    }
    for bad in [
        "",
        " ",
        "a b",
        "a/b",
        "a:b",
        "a#b",
        "#a",
        "#",
        "#server-to-user",
        "#server-to-users-1",
        "a!",
        "a*",
        "a+b",
        "a\"b",
        "é",
        "频道",
        "😀",
        "a\0",
        "a\n",
        &"n".repeat(165),
    ] {
        expect_refused(&server, &publish(server.app(), &event(bad)), 400, "channel").await;
        let among_good = event("").on(&["good", bad]);
        expect_refused(&server, &publish(server.app(), &among_good), 400, "channel").await;
    }
    server.finish().await;
}

#[tokio::test]
async fn length_of_channel_names_is_configurable() {
    let app = AppConfig::new("10001").limit("channel_name_length", 200);
    let server = or_skip!(TestServer::builder().app(app).start().await);
    let event = |length: usize| PublishedEvent::new(&"n".repeat(length), "x", "");
    server.publish(event(200)).await;
    expect_refused(&server, &publish(server.app(), &event(201)), 400, "channel").await;
    server.finish().await;
}

#[tokio::test]
async fn encrypted_channel_may_only_be_alone() {
    let server = TestServer::start().await;
    let (mut client, public) = subscriber(&server, "public-").await;
    for prefix in ["private-encrypted-", "private-encrypted-cache-"] {
        let encrypted = server.channel(prefix);
        let event = PublishedEvent::new(&encrypted, "x", "{}");
        server.publish(event.clone()).await;
        server.publish(event.clone().on(&[&encrypted])).await;
        let other = server.channel(prefix);
        for together in [
            [&public, &encrypted],
            [&encrypted, &public],
            [&encrypted, &other],
        ] {
            let names = together.map(String::as_str);
            let request = publish(server.app(), &event.clone().on(&names));
            expect_refused(&server, &request, 400, "channels").await;
        }
    }
    client.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn publishing_to_nobody_is_200_and_an_empty_object() {
    let server = TestServer::start().await;
    for prefix in [
        "public-",
        "private-",
        "presence-",
        "cache-",
        "private-encrypted-",
    ] {
        let channel = server.channel(prefix);
        let answer = server.publish(PublishedEvent::new(&channel, "x", "")).await;
        assert_eq!(answer, json!({}));
    }
    server.finish().await;
}

#[tokio::test]
async fn sending_to_a_user_reaches_their_channel_and_nobody_else() {
    let server = TestServer::start().await;
    let user = protocol_tests::names::unique("u-");
    let channel = format!("#server-to-user-{user}");
    let event = PublishedEvent::new(&channel, "message", "for you");
    // Offline: no error.
    assert_eq!(server.publish(event.clone()).await, json!({}));
    let mut addressed = server.connect().await;
    addressed.sign_in(&user).await;
    addressed.send_subscribe(&channel, None, None).await;
    addressed.expect_subscribed(&channel).await;
    let mut other = server.connect().await;
    other.sign_in(&format!("{user}-other")).await;
    server.publish(event.on(&[&channel])).await;
    let event = addressed.expect_event_on(&channel, "message").await;
    assert_eq!(event.data_text(), "for you");
    other.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn subscription_is_seen_by_publishes_as_soon_as_it_is_confirmed() {
    let builder = TestServer::builder().set("server.workers", 4);
    let server = or_skip!(builder.start().await);
    for _ in 0..40 {
        let (mut client, channel) = subscriber(&server, "public-").await;
        server.publish(PublishedEvent::new(&channel, "x", "")).await;
        client.expect_event_on(&channel, "x").await;
    }
    server.finish().await;
}

#[tokio::test]
async fn refused_event_reaches_none_of_its_channels() {
    let server = TestServer::start().await;
    let (mut client, channel) = subscriber(&server, "public-").await;
    for (event, status) in [
        (PublishedEvent::new(&channel, "pusher:x", ""), 400),
        (
            PublishedEvent::new("", "x", "").on(&[&channel, "bad name"]),
            400,
        ),
        (PublishedEvent::new(&channel, "x", "x".repeat(10_241)), 413),
        (PublishedEvent::new(&channel, "x", "").info("nonsense"), 400),
        (
            PublishedEvent::new(&channel, "x", "").excluding("nonsense"),
            400,
        ),
    ] {
        let request = publish(server.app(), &event);
        server.request(&request).await.expect_status(status);
    }
    client.expect_nothing().await;
    server.finish().await;
}
