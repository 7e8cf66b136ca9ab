//! Pusher's server library for Python.
//!
//! Its `terminate_user_connections` is not tested: version 3.3.4 leaves the app out of the path, which no server can
//! serve.

use protocol_tests::{Skipped, TestServer, or_skip};
use serde_json::json;

use crate::library::Library;

async fn start() -> Result<(TestServer, Library), Skipped> {
    let server = TestServer::start().await;
    match Library::python(&server) {
        Ok(library) => Ok((server, library)),
        Err(skipped) => {
            server.finish().await;
            Err(skipped)
        }
    }
}

#[tokio::test]
async fn triggers_on_one_and_on_many_channels() {
    let (server, mut library) = or_skip!(start().await);
    let channels = [server.channel("public-"), server.channel("private-")];
    let mut client = server.connect().await;
    let mut other = server.connect().await;
    for channel in &channels {
        client.subscribe(channel).await;
        other.subscribe(channel).await;
    }

    let data = json!({"text": "naïve ☕", "list": [1, null]});
    let answer = library
        .call("trigger", json!([channels[0], "one", data]))
        .await;
    assert_eq!(answer, json!({}));
    for client in [&mut client, &mut other] {
        let event = client.expect_event_on(&channels[0], "one").await;
        assert_eq!(event.data_json(), data);
    }

    library
        .call(
            "trigger",
            json!([channels, "many", "text", other.socket_id]),
        )
        .await;
    let events = client.next_events(2).await;
    assert!(
        events
            .iter()
            .all(|event| (event.name.as_str(), event.data_text()) == ("many", "text")),
        "{events:?}"
    );
    other.expect_nothing().await;
    library.finish().await;
    server.finish().await;
}

#[tokio::test]
async fn triggers_batches() {
    let (server, mut library) = or_skip!(start().await);
    let channel = server.channel("batched-");
    let mut client = server.connect().await;
    client.subscribe(&channel).await;
    let batch: Vec<_> = (0..10)
        .map(|number| json!({"channel": channel, "name": "event", "data": number.to_string()}))
        .collect();
    assert_eq!(
        library.call("trigger_batch", json!([batch])).await,
        json!({})
    );
    for number in 0..10 {
        let event = client.expect_event_on(&channel, "event").await;
        assert_eq!(event.data_text(), number.to_string());
    }
    library.finish().await;
    server.finish().await;
}

#[tokio::test]
async fn asks_for_channels_and_users() {
    let (server, mut library) = or_skip!(start().await);
    let room = server.channel("presence-room-");
    let mut client = server.connect().await;
    client.subscribe_presence(&room, "ann", json!({})).await;

    let channels = library
        .call("channels_info", json!([room, ["user_count"]]))
        .await;
    assert_eq!(channels, json!({"channels": {&room: {"user_count": 1}}}));
    let attributes = json!([room, ["user_count", "subscription_count"]]);
    let channel = library.call("channel_info", attributes).await;
    assert_eq!(
        channel,
        json!({"occupied": true, "user_count": 1, "subscription_count": 1})
    );
    let users = library.call("users_info", json!([room])).await;
    assert_eq!(users, json!({"users": [{"id": "ann"}]}));
    library.finish().await;
    server.finish().await;
}

#[tokio::test]
async fn authenticates_and_reaches_users() {
    let (server, mut library) = or_skip!(start().await);
    let user = server.channel("user-");
    let mut client = server.connect().await;
    for (channel, channel_data) in [
        (server.channel("private-"), json!(null)),
        (
            server.channel("presence-"),
            json!({"user_id": 7, "user_info": {"name": "Änne"}}),
        ),
    ] {
        let parameters = json!([channel, client.socket_id, channel_data]);
        let mut signed = library.call("authenticate", parameters).await;
        signed["channel"] = channel.clone().into();
        client.send_event("pusher:subscribe", signed).await;
        client.expect_subscribed(&channel).await;
    }

    let user_data = json!([client.socket_id, {"id": user}]);
    let signed = library.call("authenticate_user", user_data).await;
    client.send_event("pusher:signin", signed).await;
    client.expect_event("pusher:signin_success").await;
    let channel = format!("#server-to-user-{user}");
    client.send_subscribe(&channel, None, None).await;
    client.expect_subscribed(&channel).await;
    library
        .call("send_to_user", json!([user, "notice", {"text": "hello"}]))
        .await;
    let event = client.expect_event_on(&channel, "notice").await;
    assert_eq!(event.data_json(), json!({"text": "hello"}));
    library.finish().await;
    server.finish().await;
}

#[tokio::test]
async fn learns_what_is_wrong_with_a_request() {
    let (server, mut library) = or_skip!(start().await);
    let reserved = json!(["channel", "pusher:reserved", "x"]);
    let error = library.try_call("trigger", reserved).await.unwrap_err();
    assert!(error.starts_with("PusherBadRequest: "), "{error}");
    assert!(error.contains("name"), "{error}");
    library.finish().await;
    server.finish().await;
}
