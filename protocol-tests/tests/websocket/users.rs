//! Users: signing in, their own channels, and the end of all their connections.

use protocol_tests::client::channel_data;
use protocol_tests::{PublishedEvent, Request, TestServer, WsClient};
use serde_json::{Value, json};

use crate::support::{assert_members, assert_served};

async fn terminate(server: &TestServer, user_id: &str) {
    let path = format!("/users/{user_id}/terminate_connections");
    let request = Request::post(server.app(), &path).json(&json!({}));
    let response = server.request(&request).await.expect_status(200);
    assert_eq!(response.json(), json!({}));
}

async fn expect_unauthorised_close(client: &mut WsClient) {
    client.expect_error(Some(4009)).await;
    client.expect_close_code(4009).await;
}

// Signing in

#[tokio::test]
async fn sign_in_is_answered_with_the_user_data_byte_for_byte() {
    let server = TestServer::start().await;
    for user_data in [
        r#"{"id":"u1"}"#,
        "{ \"user_info\" : {\"name\":\"\\u00dcn\\u00ef €😀\"},\n \"id\":\"u1\", \"other\": 1.0 }",
        r#"{"id":"u1","user_info":null,"watchlist":[]}"#,
        r#"{"id":"u1","watchlist":["a","b"]}"#,
    ] {
        let mut client = server.connect().await;
        client.send_sign_in(user_data).await;
        let event = client.expect_event("pusher:signin_success").await;
        assert_members(&event, &["event", "data"]);
        assert!(event.data.is_object(), "{}", event.text);
        assert_eq!(event.data["user_data"], user_data);
        client.expect_nothing().await;
    }
    server.finish().await;
}

#[tokio::test]
async fn bad_signature_is_an_error_4009_and_closes() {
    let server = TestServer::start().await;
    let user_data = r#"{"id":"u1"}"#;
    let app = server.app().clone();
    let other = server.connect().await;
    for number in 0..7 {
        let mut client = server.connect().await;
        let right = app.user_auth(&client.socket_id, user_data);
        let (_, signature) = right.split_once(':').unwrap();
        let auth = match number {
            0 => app
                .with_pair(&app.key, "wrong")
                .user_auth(&client.socket_id, user_data),
            1 => app.user_auth(&other.socket_id, user_data),
            2 => app.user_auth(&client.socket_id, r#"{"id":"u2"}"#),
            3 => app.channel_auth(&client.socket_id, user_data, None),
            4 => format!("no-such-key:{signature}"),
            5 => signature.to_owned(),
            _ => String::new(),
        };
        let data = json!({"auth": auth, "user_data": user_data});
        client.send_event("pusher:signin", data).await;
        expect_unauthorised_close(&mut client).await;
    }
    server.finish().await;
}

#[tokio::test]
async fn any_failed_sign_in_is_answered() {
    // A signed sign-in with broken JSON ended soketi's process.
    let server = TestServer::start().await;
    for user_data in [
        "",
        "{",
        "not JSON",
        "null",
        "[]",
        r#""u1""#,
        "{}",
        r#"{"id":""}"#,
        r#"{"id":null}"#,
        r#"{"id":7}"#,
        r#"{"id":["u1"]}"#,
        r#"{"id":{}}"#,
        r#"{"ID":"u1"}"#,
    ] {
        let mut client = server.connect().await;
        client.send_sign_in(user_data).await;
        let event = client.expect_event("pusher:error").await;
        event.error_message();
    }
    for data in [
        json!({}),
        json!({"user_data": r#"{"id":"u1"}"#}),
        json!({"auth": null, "user_data": r#"{"id":"u1"}"#}),
        json!({"auth": 7, "user_data": r#"{"id":"u1"}"#}),
        json!({"auth": "a:b"}),
        json!({"auth": "a:b", "user_data": {"id": "u1"}}),
        json!(null),
        json!("not JSON"),
    ] {
        let mut client = server.connect().await;
        client.send_event("pusher:signin", data).await;
        client.expect_event("pusher:error").await.error_message();
    }
    let mut client = server.connect().await;
    assert_served(&server, &mut client).await;
    server.finish().await;
}

#[tokio::test]
async fn id_must_be_a_non_empty_string_to_be_signed_in() {
    let server = TestServer::start().await;
    for user_data in [r#"{"id":""}"#, r#"{"id":7}"#, r#"{"user_info":{}}"#] {
        let mut client = server.connect().await;
        client.send_sign_in(user_data).await;
        let answer = client.next_event().await;
        assert_eq!(answer.name, "pusher:error", "{}", answer.text);
    }
    server.finish().await;
}

#[tokio::test]
async fn signing_in_again_as_the_same_user_is_harmless() {
    let server = TestServer::start().await;
    let user_id = server.channel("user-");
    let mut client = server.connect().await;
    client.sign_in(&user_id).await;
    client.sign_in(&user_id).await;
    let user_data = json!({"id": user_id, "user_info": {"name": "Ann"}}).to_string();
    client.sign_in_with(&user_data).await;
    let channel = format!("#server-to-user-{user_id}");
    client.subscribe(&channel).await;
    server.publish(PublishedEvent::new(&channel, "x", "")).await;
    client.expect_event_on(&channel, "x").await;
    client.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn second_sign_in_as_someone_else_is_an_error_4009_and_closes() {
    // Soketi, Sockudo and Reverb accepted it.
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    client.sign_in("u1").await;
    client.send_sign_in(r#"{"id":"u2"}"#).await;
    expect_unauthorised_close(&mut client).await;
    server.finish().await;
}

// A user's own channel

#[tokio::test]
async fn signed_in_user_may_listen_to_their_own_channel_without_auth() {
    let server = TestServer::start().await;
    let user_id = server.channel("user-");
    let channel = format!("#server-to-user-{user_id}");
    let mut tabs = [server.connect().await, server.connect().await];
    for tab in &mut tabs {
        tab.sign_in(&user_id).await;
        tab.send_subscribe(&channel, None, None).await;
        tab.expect_subscribed(&channel).await;
    }
    server
        .publish(PublishedEvent::new(&channel, "for-you", "hello"))
        .await;
    for tab in &mut tabs {
        let event = tab.expect_event_on(&channel, "for-you").await;
        assert_members(&event, &["event", "channel", "data"]);
        assert_eq!(event.data_text(), "hello");
    }
    server.finish().await;
}

#[tokio::test]
async fn channel_of_another_user_is_refused() {
    // On soketi, Sockudo and Reverb anyone could listen to it.
    let server = TestServer::start().await;
    let user_id = server.channel("user-");
    let channel = format!("#server-to-user-{user_id}");
    let mut stranger = server.connect().await;
    let mut other = server.connect().await;
    other.sign_in(&server.channel("user-")).await;
    let mut presence_only = server.connect().await;
    presence_only
        .subscribe_presence(&server.channel("presence-"), &user_id, json!({}))
        .await;
    for client in [&mut stranger, &mut other, &mut presence_only] {
        client.send_subscribe(&channel, None, None).await;
        client.expect_subscription_error(&channel).await;
        client.send_signed_subscribe(&channel, None).await;
        client.expect_subscription_error(&channel).await;
    }
    server
        .publish(PublishedEvent::new(&channel, "secret", "x"))
        .await;
    for client in [&mut stranger, &mut other, &mut presence_only] {
        client.expect_nothing().await;
        assert_served(&server, client).await;
    }
    server.finish().await;
}

#[tokio::test]
async fn channel_of_a_user_before_signing_in_is_refused_and_after_it_open() {
    let server = TestServer::start().await;
    let user_id = server.channel("user-");
    let channel = format!("#server-to-user-{user_id}");
    let mut client = server.connect().await;
    client.send_subscribe(&channel, None, None).await;
    client.expect_subscription_error(&channel).await;
    client.sign_in(&user_id).await;
    client.subscribe(&channel).await;
    server.finish().await;
}

#[tokio::test]
async fn sending_to_a_user_who_is_not_there_is_no_error() {
    let server = TestServer::start().await;
    let channel = format!("#server-to-user-{}", server.channel("user-"));
    let answer = server.publish(PublishedEvent::new(&channel, "x", "")).await;
    assert_eq!(answer, json!({}));
    server.finish().await;
}

// Presence of a signed-in user

#[tokio::test]
async fn signed_in_connection_may_join_presence_without_channel_data() {
    let server = TestServer::start().await;
    for prefix in ["presence-", "presence-cache-"] {
        let channel = server.channel(prefix);
        let mut watcher = server.connect().await;
        watcher
            .subscribe_presence(&channel, "watcher", json!({}))
            .await;
        watcher.ping_fence().await;
        let mut ann = server.connect().await;
        ann.sign_in_with(r#"{"id":"ann","user_info":{"name":"Ann"}}"#)
            .await;
        ann.send_signed_subscribe(&channel, None).await;
        let roster = ann.expect_subscribed(&channel).await.data_json();
        assert_eq!(roster["presence"]["hash"]["ann"], json!({"name": "Ann"}));
        let added = watcher.expect_event("pusher_internal:member_added").await;
        assert_eq!(
            added.data_json(),
            json!({"user_id": "ann", "user_info": {"name": "Ann"}})
        );
        ann.ping_fence().await;
        ann.send_client_event(&channel, "client-x", json!(1)).await;
        assert_eq!(
            watcher.expect_event("client-x").await.message["user_id"],
            "ann"
        );
    }
    server.finish().await;
}

#[tokio::test]
async fn signed_in_user_without_user_info_appears_with_an_empty_object() {
    let server = TestServer::start().await;
    let channel = server.channel("presence-");
    let mut ann = server.connect().await;
    ann.sign_in("ann").await;
    ann.send_signed_subscribe(&channel, None).await;
    let roster = ann.expect_subscribed(&channel).await.data_json();
    assert_eq!(roster["presence"]["hash"], json!({"ann": {}}));
    server.finish().await;
}

#[tokio::test]
async fn channel_data_overrides_the_signed_in_user() {
    let server = TestServer::start().await;
    let channel = server.channel("presence-");
    let mut client = server.connect().await;
    client
        .sign_in_with(r#"{"id":"ann","user_info":{"name":"Ann"}}"#)
        .await;
    let data = channel_data("bob", json!({"name": "Bob"}));
    client.send_signed_subscribe(&channel, Some(&data)).await;
    let roster = client.expect_subscribed(&channel).await.data_json();
    assert_eq!(roster["presence"]["hash"], json!({"bob": {"name": "Bob"}}));
    server.finish().await;
}

#[tokio::test]
async fn signed_in_connection_still_needs_a_signature_for_presence() {
    let server = TestServer::start().await;
    let channel = server.channel("presence-");
    let mut client = server.connect().await;
    client.sign_in("ann").await;
    client.send_subscribe(&channel, None, None).await;
    client.expect_subscription_error(&channel).await;
    let auth = client
        .app
        .channel_auth(&client.socket_id, &channel, Some(r#"{"user_id":"ann"}"#));
    client.send_subscribe(&channel, Some(&auth), None).await;
    let error = client.expect_subscription_error(&channel).await;
    assert_eq!(error.data["type"], "AuthError");
    server.finish().await;
}

// Terminating

#[tokio::test]
async fn terminating_closes_all_connections_signed_in_as_that_user_with_4009() {
    let server = TestServer::start().await;
    let user_id = server.channel("user-");
    let mut tabs = Vec::new();
    for _ in 0..5 {
        let mut tab = server.connect().await;
        tab.sign_in(&user_id).await;
        tabs.push(tab);
    }
    let mut other = server.connect().await;
    other.sign_in(&server.channel("user-")).await;
    terminate(&server, &user_id).await;
    for tab in &mut tabs {
        tab.expect_close_code(4009).await;
    }
    other.expect_nothing().await;
    let mut back = server.connect().await;
    back.sign_in(&user_id).await;
    back.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn terminating_leaves_connections_that_never_signed_in() {
    // Sockudo and Reverb closed those that were merely present under that id.
    let server = TestServer::start().await;
    let user_id = server.channel("user-");
    let mut present = server.connect().await;
    present
        .subscribe_presence(&server.channel("presence-"), &user_id, json!({}))
        .await;
    let mut plain = server.connect().await;
    terminate(&server, &user_id).await;
    present.expect_nothing().await;
    plain.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn terminated_member_has_left_their_channels() {
    let server = TestServer::start().await;
    let user_id = server.channel("user-");
    let channel = server.channel("presence-");
    let mut watcher = server.connect().await;
    watcher
        .subscribe_presence(&channel, "watcher", json!({}))
        .await;
    let mut member = server.connect().await;
    member.sign_in(&user_id).await;
    member.send_signed_subscribe(&channel, None).await;
    watcher
        .expect_event_on(&channel, "pusher_internal:member_added")
        .await;
    terminate(&server, &user_id).await;
    let removed = watcher
        .expect_event_on(&channel, "pusher_internal:member_removed")
        .await;
    assert_eq!(removed.data_json(), json!({"user_id": user_id}));
    server.finish().await;
}

#[tokio::test]
async fn user_ids_in_paths_are_percent_decoded() {
    let server = TestServer::start().await;
    let user_id = format!("a/ü b{}", server.channel("-"));
    let mut client = server.connect().await;
    client.sign_in(&user_id).await;
    terminate(&server, &protocol_tests::request::percent_encode(&user_id)).await;
    client.expect_close_code(4009).await;
    server.finish().await;
}

#[tokio::test]
async fn unknown_members_of_user_data_do_no_harm() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    let mut user_data = json!({"id": "u1", "extra": [1, {"a": null}]});
    user_data["user_info"] = Value::from("any JSON");
    client.sign_in_with(&user_data.to_string()).await;
    assert_served(&server, &mut client).await;
    server.finish().await;
}
