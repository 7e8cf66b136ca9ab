//! Authorised channels: signatures.

use protocol_tests::{App, PublishedEvent, TestServer, WsClient};
use serde_json::json;

use crate::support::{assert_members, assert_served};

const AUTHORISED: [&str; 6] = [
    "private-",
    "private-encrypted-",
    "private-cache-",
    "private-encrypted-cache-",
    "presence-",
    "presence-cache-",
];

fn channel_data(prefix: &str) -> Option<&'static str> {
    prefix
        .starts_with("presence-")
        .then_some(r#"{"user_id":"u1"}"#)
}

/// Expects the failure of a bad signature.
async fn expect_bad_signature(client: &mut WsClient, channel: &str) {
    let error = client.expect_subscription_error(channel).await;
    assert_members(&error, &["event", "channel", "data"]);
    assert_eq!(error.data["type"], "AuthError", "{}", error.text);
    assert_eq!(error.data["status"], 401, "{}", error.text);
}

#[tokio::test]
async fn right_signature_is_accepted_for_every_kind() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    for prefix in AUTHORISED {
        let channel = server.channel(prefix);
        client
            .send_signed_subscribe(&channel, channel_data(prefix))
            .await;
        client.expect_subscribed(&channel).await;
        client.ping_fence().await;
        server
            .publish(PublishedEvent::new(&channel, "x", "y"))
            .await;
        client.expect_event_on(&channel, "x").await;
    }
    server.finish().await;
}

#[tokio::test]
async fn missing_auth_is_refused_for_every_kind() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    for prefix in AUTHORISED {
        let channel = server.channel(prefix);
        client
            .send_subscribe(&channel, None, channel_data(prefix))
            .await;
        let error = client.expect_subscription_error(&channel).await;
        assert_eq!(error.data["type"], "AuthError", "{}", error.text);
        assert_eq!(error.data["status"], 401, "{}", error.text);
    }
    assert_served(&server, &mut client).await;
    server.finish().await;
}

#[tokio::test]
async fn wrong_signature_is_refused_for_every_kind_and_nothing_is_delivered() {
    // Any signature opened Sockudo's private-cache- and private-encrypted-cache- channels.
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    for prefix in AUTHORISED {
        let channel = server.channel(prefix);
        let data = channel_data(prefix);
        let wrong = App {
            secret: "wrong".to_owned(),
            ..server.app().clone()
        };
        let auth = wrong.channel_auth(&client.socket_id, &channel, data);
        client.send_subscribe(&channel, Some(&auth), data).await;
        expect_bad_signature(&mut client, &channel).await;
        server
            .publish(PublishedEvent::new(&channel, "x", "secret"))
            .await;
        client.expect_nothing().await;
    }
    assert_served(&server, &mut client).await;
    server.finish().await;
}

#[tokio::test]
async fn signature_of_another_socket_or_channel_is_refused() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    let other = server.connect().await;
    let channel = server.channel("private-");
    let app = server.app();
    for auth in [
        app.channel_auth(&other.socket_id, &channel, None),
        app.channel_auth(&client.socket_id, &server.channel("private-"), None),
        app.user_auth(&client.socket_id, &channel),
    ] {
        client.send_subscribe(&channel, Some(&auth), None).await;
        expect_bad_signature(&mut client, &channel).await;
    }
    server.finish().await;
}

#[tokio::test]
async fn key_of_no_enabled_pair_is_a_bad_signature() {
    // Reverb ignored the key part.
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    let channel = server.channel("private-");
    let app = server.app();
    let right = app.channel_auth(&client.socket_id, &channel, None);
    let (_, signature) = right.split_once(':').unwrap();
    for auth in [
        format!("no-such-key:{signature}"),
        format!(":{signature}"),
        signature.to_owned(),
        format!("{right}:{signature}"),
    ] {
        client.send_subscribe(&channel, Some(&auth), None).await;
        expect_bad_signature(&mut client, &channel).await;
    }
    client.subscribe(&channel).await;
    server.finish().await;
}

#[tokio::test]
async fn malformed_auth_is_a_bad_signature() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    let channel = server.channel("private-");
    let right = server.app().channel_auth(&client.socket_id, &channel, None);
    for auth in [
        String::new(),
        ":".to_owned(),
        format!("{}:", server.app().key),
        format!("{}:nothex", server.app().key),
        format!("{}:{}", server.app().key, "0".repeat(64)),
        format!("{right}0"),
        right[..right.len() - 1].to_owned(),
        format!(" {right}"),
        format!("{right}\n"),
        format!("{}:€{}", server.app().key, "0".repeat(61)),
    ] {
        client.send_subscribe(&channel, Some(&auth), None).await;
        expect_bad_signature(&mut client, &channel).await;
    }
    for auth in [json!(7), json!({}), json!([right]), json!(true)] {
        let data = json!({"channel": channel, "auth": auth});
        client.send_event("pusher:subscribe", data).await;
        let answers = client.ping_fence().await;
        assert_eq!(answers.len(), 1, "{answers:?}");
        assert_ne!(answers[0].name, "pusher_internal:subscription_succeeded");
    }
    assert_served(&server, &mut client).await;
    server.finish().await;
}

#[tokio::test]
async fn failure_leaves_the_connection_free_to_try_again() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    let channel = server.channel("private-");
    client.send_subscribe(&channel, Some("a:b"), None).await;
    expect_bad_signature(&mut client, &channel).await;
    client.subscribe(&channel).await;
    // A failed second attempt does not end the subscription that there is.
    client.send_subscribe(&channel, Some("a:b"), None).await;
    client.next_event().await;
    server.publish(PublishedEvent::new(&channel, "x", "")).await;
    client.expect_event_on(&channel, "x").await;
    server.finish().await;
}

#[tokio::test]
async fn channel_data_may_come_with_a_private_channel_and_is_covered_by_the_signature() {
    // Soketi, Sockudo and Reverb refused it, though pusher-js's own auth server sends it.
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    for channel_data in [
        r#"{"user_id":"u1"}"#,
        r#"{ "any" : "JSON" }"#,
        "not even JSON",
    ] {
        let channel = server.channel("private-");
        client
            .send_signed_subscribe(&channel, Some(channel_data))
            .await;
        assert_eq!(client.expect_subscribed(&channel).await.data, "{}");
    }
    let channel = server.channel("private-");
    let app = server.app();
    let covered = app.channel_auth(&client.socket_id, &channel, Some(r#"{"user_id":"u1"}"#));
    let bare = app.channel_auth(&client.socket_id, &channel, None);
    for (auth, channel_data) in [
        (&covered, Some(r#"{"user_id":"u2"}"#)),
        (&covered, Some(r#"{"user_id": "u1"}"#)),
        (&covered, None),
        (&bare, Some(r#"{"user_id":"u1"}"#)),
    ] {
        client
            .send_subscribe(&channel, Some(auth), channel_data)
            .await;
        expect_bad_signature(&mut client, &channel).await;
    }
    server.finish().await;
}

#[tokio::test]
async fn signature_covers_the_exact_channel_data_received() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    for channel_data in [
        r#"{"user_id":"u1","user_info":{"b":1,"a":2}}"#,
        "{\n  \"user_id\" : \"ü€😀\\u00e9\" }",
    ] {
        let channel = server.channel("presence-");
        client
            .send_signed_subscribe(&channel, Some(channel_data))
            .await;
        client.expect_subscribed(&channel).await;
    }
    server.finish().await;
}

#[tokio::test]
async fn private_encrypted_without_its_hyphen_is_a_private_channel() {
    let server = TestServer::start().await;
    let channel = server.channel("private-encryptedfoo-");
    let mut sender = server.connect().await;
    let mut receiver = server.connect().await;
    sender.subscribe(&channel).await;
    receiver.subscribe(&channel).await;
    sender
        .send_client_event(&channel, "client-x", json!(1))
        .await;
    receiver.expect_event_on(&channel, "client-x").await;
    server.finish().await;
}
