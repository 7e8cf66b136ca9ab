//! Pusher's server library for Node.

use protocol_tests::TestServer;
use serde_json::json;

use crate::library::Library;

#[tokio::test]
async fn triggers_on_one_and_on_many_channels() {
    let server = TestServer::start().await;
    let mut library = Library::node(&server);
    let channels: Vec<String> = (0..100).map(|_| server.channel("many-")).collect();
    let mut client = server.connect().await;
    for channel in &channels {
        client.subscribe(channel).await;
    }

    let answer = library
        .call("trigger", json!([channels[0], "one", {"order": 7}]))
        .await;
    assert_eq!(answer, json!({}));
    let event = client.expect_event_on(&channels[0], "one").await;
    assert_eq!(event.data_text(), r#"{"order":7}"#);

    library
        .call("trigger", json!([channels, "many", "text"]))
        .await;
    let mut reached = Vec::new();
    for event in client.next_events(channels.len()).await {
        assert_eq!((event.name.as_str(), event.data_text()), ("many", "text"));
        reached.push(event.channel().to_owned());
    }
    reached.sort();
    let mut expected = channels.clone();
    expected.sort();
    assert_eq!(reached, expected);
    library.finish().await;
    server.finish().await;
}

#[tokio::test]
async fn trigger_excludes_a_socket_and_answers_with_info() {
    let server = TestServer::start().await;
    let mut library = Library::node(&server);
    let presence = server.channel("presence-");
    let public = server.channel("public-");
    let mut sender = server.connect().await;
    let mut other = server.connect().await;
    for (client, user) in [(&mut sender, "ann"), (&mut other, "bob")] {
        client.subscribe(&public).await;
        client.subscribe_presence(&presence, user, json!({})).await;
    }
    sender.expect_event("pusher_internal:member_added").await;

    let params = json!({"socket_id": sender.socket_id, "info": "user_count,subscription_count"});
    let answer = library
        .call(
            "trigger",
            json!([[public, presence], "greeting", "hello", params]),
        )
        .await;
    assert_eq!(
        answer,
        json!({"channels": {
            &public: {"subscription_count": 2},
            &presence: {"user_count": 2, "subscription_count": 2},
        }})
    );
    other.expect_event("greeting").await;
    other.expect_event("greeting").await;
    sender.expect_nothing().await;
    library.finish().await;
    server.finish().await;
}

#[tokio::test]
async fn triggers_batches() {
    let server = TestServer::start().await;
    let mut library = Library::node(&server);
    let channel = server.channel("batched-");
    let mut client = server.connect().await;
    client.subscribe(&channel).await;
    let batch: Vec<_> = (0..10)
        .map(|number| json!({"channel": channel, "name": "event", "data": {"number": number}}))
        .collect();
    assert_eq!(
        library.call("triggerBatch", json!([batch])).await,
        json!({})
    );
    for number in 0..10 {
        let event = client.expect_event_on(&channel, "event").await;
        assert_eq!(event.data_json(), json!({"number": number}));
    }

    let with_info = json!([
        {"channel": channel, "name": "event", "data": "1", "info": "subscription_count"},
        {"channel": channel, "name": "event", "data": "2"},
    ]);
    let answer = library.call("triggerBatch", json!([with_info])).await;
    assert_eq!(answer, json!({"batch": [{"subscription_count": 1}, {}]}));
    client.next_events(2).await;
    library.finish().await;
    server.finish().await;
}

#[tokio::test]
async fn asks_for_channels_and_users() {
    let server = TestServer::start().await;
    let mut library = Library::node(&server);
    let room = server.channel("presence-room-");
    let mut client = server.connect().await;
    client.subscribe_presence(&room, "ann", json!({})).await;

    let query =
        json!({"path": "/channels", "params": {"filter_by_prefix": room, "info": "user_count"}});
    let channels = library.call("get", json!([query])).await;
    assert_eq!(channels, json!({"channels": {&room: {"user_count": 1}}}));

    let query = json!({"path": format!("/channels/{room}"), "params": {"info": "user_count,subscription_count"}});
    let channel = library.call("get", json!([query])).await;
    assert_eq!(
        channel,
        json!({"occupied": true, "user_count": 1, "subscription_count": 1})
    );

    let query = json!({"path": format!("/channels/{room}/users")});
    let users = library.call("get", json!([query])).await;
    assert_eq!(users, json!({"users": [{"id": "ann"}]}));
    library.finish().await;
    server.finish().await;
}

#[tokio::test]
async fn reaches_and_disconnects_users() {
    let server = TestServer::start().await;
    let mut library = Library::node(&server);
    let user = server.channel("user-");
    let mut client = server.connect().await;
    let user_data = json!([client.socket_id, {"id": user}]);
    let signed = library.call("authenticateUser", user_data).await;
    client.send_event("pusher:signin", signed).await;
    client.expect_event("pusher:signin_success").await;
    let channel = format!("#server-to-user-{user}");
    client.send_subscribe(&channel, None, None).await;
    client.expect_subscribed(&channel).await;

    library
        .call("sendToUser", json!([user, "notice", {"text": "hello"}]))
        .await;
    let event = client.expect_event_on(&channel, "notice").await;
    assert_eq!(event.data_json(), json!({"text": "hello"}));

    let answer = library
        .call("terminateUserConnections", json!([user]))
        .await;
    assert_eq!(answer, json!({}));
    client.expect_close_code(4009).await;
    library.finish().await;
    server.finish().await;
}

#[tokio::test]
async fn authorizes_channels() {
    let server = TestServer::start().await;
    let mut library = Library::node(&server);
    let mut client = server.connect().await;
    for (channel, channel_data) in [
        (server.channel("private-"), json!(null)),
        // channel_data on a private channel is signed too.
        (server.channel("private-"), json!({"user_id": "ann"})),
        (server.channel("private-encrypted-"), json!(null)),
        (
            server.channel("presence-"),
            json!({"user_id": 7, "user_info": {"name": "Änne"}}),
        ),
    ] {
        let parameters = json!([client.socket_id, channel, channel_data]);
        let mut signed = library.call("authorizeChannel", parameters).await;
        // The shared secret is for the client alone; pusher-js removes it too.
        let secret = signed.as_object_mut().unwrap().remove("shared_secret");
        assert_eq!(secret.is_some(), channel.starts_with("private-encrypted-"));
        signed["channel"] = channel.clone().into();
        client.send_event("pusher:subscribe", signed).await;
        client.expect_subscribed(&channel).await;
    }
    library.finish().await;
    server.finish().await;
}

#[tokio::test]
async fn learns_what_is_wrong_with_a_request() {
    let server = TestServer::start().await;
    let mut library = Library::node(&server);
    let reserved = json!(["channel", "pusher:reserved", "x"]);
    let error = library.try_call("trigger", reserved).await.unwrap_err();
    assert!(
        error.starts_with("400: ") && error.contains("name"),
        "{error}"
    );

    let too_long = json!([server.channel("public-"), "event", "x".repeat(11_000)]);
    let error = library.try_call("trigger", too_long).await.unwrap_err();
    assert!(
        error.starts_with("413: ") && error.contains("data"),
        "{error}"
    );
    library.finish().await;
    server.finish().await;
}
