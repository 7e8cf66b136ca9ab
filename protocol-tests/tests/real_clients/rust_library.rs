//! The crate `pusher`, which sends `"socket_id": null` when it excludes nobody.

use std::collections::HashMap;

use protocol_tests::{App, TestServer};
use pusher::{Pusher, PusherBuilder};
use serde_json::{Value, json};

/// The crate is generic over the connector of an HTTP library that it does not re-export.
macro_rules! library {
    ($server:expr, $app:expr) => {{
        let app: &App = $app;
        PusherBuilder::new(&app.id, &app.key, &app.secret)
            .host(&$server.endpoint().authority)
            .finalize()
    }};
}

#[tokio::test]
async fn triggers_on_one_and_on_many_channels() {
    let server = TestServer::start().await;
    let library: Pusher<_> = library!(server, server.app());
    let channels = [server.channel("public-"), server.channel("private-")];
    let names: Vec<&str> = channels.iter().map(String::as_str).collect();
    let mut client = server.connect().await;
    let mut other = server.connect().await;
    for channel in &channels {
        client.subscribe(channel).await;
        other.subscribe(channel).await;
    }

    library
        .trigger(names[0], "one", json!({"order": 7}))
        .await
        .unwrap();
    for client in [&mut client, &mut other] {
        let event = client.expect_event_on(&channels[0], "one").await;
        assert_eq!(event.data_text(), r#"{"order":7}"#);
    }
    library
        .trigger_multi_exclusive(&names, "many", "text", &other.socket_id)
        .await
        .unwrap();
    for event in client.next_events(2).await {
        assert_eq!(
            (event.name.as_str(), event.data_text()),
            ("many", r#""text""#)
        );
    }
    other.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn asks_for_channels_and_users() {
    let server = TestServer::start().await;
    let library: Pusher<_> = library!(server, server.app());
    let room = server.channel("presence-room-");
    let mut client = server.connect().await;
    client.subscribe_presence(&room, "ann", json!({})).await;

    let parameter = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let query = vec![
        parameter("filter_by_prefix", &room),
        parameter("info", "user_count"),
    ];
    let channels = library.channels_with_options(query).await.unwrap().channels;
    assert_eq!(channels.len(), 1);
    assert_eq!(channels[&room].user_count, Some(1));

    let query = vec![parameter("info", "user_count,subscription_count")];
    let channel = library.channel_with_options(&room, query).await.unwrap();
    assert_eq!(
        (
            channel.occupied,
            channel.user_count,
            channel.subscription_count
        ),
        (Some(true), Some(1), Some(1))
    );

    let users = library.channel_users(&room).await.unwrap().users;
    let ids: Vec<&str> = users.iter().map(|user| user.id.as_str()).collect();
    assert_eq!(ids, ["ann"]);
    server.finish().await;
}

#[tokio::test]
async fn authenticates_channels() {
    let server = TestServer::start().await;
    let library: Pusher<_> = library!(server, server.app());
    let mut client = server.connect().await;

    let private = server.channel("private-");
    let signed = library
        .authenticate_private_channel(&private, &client.socket_id)
        .unwrap();
    let mut signed: Value = serde_json::from_str(&signed).unwrap();
    signed["channel"] = private.clone().into();
    client.send_event("pusher:subscribe", signed).await;
    client.expect_subscribed(&private).await;

    let presence = server.channel("presence-");
    let member = pusher::Member {
        user_id: "ann",
        user_info: Some(HashMap::from([("name", "Änne")])),
    };
    let signed = library
        .authenticate_presence_channel(&presence, &client.socket_id, &member)
        .unwrap();
    let mut signed: Value = serde_json::from_str(&signed).unwrap();
    signed["channel"] = presence.clone().into();
    client.send_event("pusher:subscribe", signed).await;
    client.expect_subscribed(&presence).await;
    server.finish().await;
}

#[tokio::test]
async fn learns_what_is_wrong_with_a_request() {
    let server = TestServer::start().await;
    let app = server
        .app()
        .with_pair(&server.app().key, "not the app's secret");
    let library: Pusher<_> = library!(server, &app);
    let error = library.channels().await.unwrap_err();
    assert!(error.contains("401"), "{error}");
    server.finish().await;
}
