//! `GET /apps/{id}/channels/{channel}/users`.

use protocol_tests::{Request, TestServer};
use serde_json::{Value, json};

use crate::support::expect_refused;

/// The ids, sorted.
async fn users(server: &TestServer, channel: &str) -> Vec<String> {
    let answer = server.get(&format!("/channels/{channel}/users"), &[]).await;
    let users = answer["users"].as_array();
    let users = users.unwrap_or_else(|| panic!("users is no list: {answer}"));
    let mut ids: Vec<String> = users
        .iter()
        .map(|user| {
            assert_eq!(user.as_object().map(|user| user.len()), Some(1), "{user}");
            user["id"].as_str().expect("id is a string").to_owned()
        })
        .collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn each_user_is_listed_once_by_the_id_as_a_string() {
    let server = TestServer::start().await;
    for prefix in ["presence-", "presence-cache-"] {
        let channel = server.channel(prefix);
        let mut tabs = Vec::new();
        for channel_data in [
            json!({"user_id": "u1", "user_info": {"name": "secret of the members"}}),
            json!({"user_id": "u1"}),
            json!({"user_id": 10}),
            json!({"user_id": "ü \"quoted\" 😀"}),
        ] {
            let mut tab = server.connect().await;
            tab.send_signed_subscribe(&channel, Some(&channel_data.to_string()))
                .await;
            tab.expect_subscribed(&channel).await;
            tabs.push(tab);
        }
        assert_eq!(
            users(&server, &channel).await,
            ["10", "u1", "ü \"quoted\" 😀"]
        );
    }
    server.finish().await;
}

#[tokio::test]
async fn user_is_listed_until_their_last_connection_has_left_and_no_longer() {
    let server = TestServer::start().await;
    let channel = server.channel("presence-");
    let mut first = server.connect().await;
    let mut second = server.connect().await;
    first.subscribe_presence(&channel, "u1", Value::Null).await;
    second.subscribe_presence(&channel, "u1", Value::Null).await;
    first.unsubscribe(&channel).await;
    first.ping_fence().await;
    assert_eq!(users(&server, &channel).await, ["u1"]);
    second.unsubscribe(&channel).await;
    second.ping_fence().await;
    assert!(users(&server, &channel).await.is_empty());
    server.finish().await;
}

#[tokio::test]
async fn channel_that_nobody_is_on_has_an_empty_list() {
    let server = TestServer::start().await;
    let channel = server.channel("presence-");
    let answer = server.get(&format!("/channels/{channel}/users"), &[]).await;
    assert_eq!(answer, json!({"users": []}));
    server.finish().await;
}

#[tokio::test]
async fn channel_without_presence_is_400() {
    let server = TestServer::start().await;
    for channel in [
        "public",
        "private-a",
        "cache-a",
        "private-encrypted-a",
        "presence",
        "presencea",
        "%23server-to-user-1",
    ] {
        let request = Request::get(server.app(), &format!("/channels/{channel}/users"));
        expect_refused(&server, &request, 400, "presence").await;
    }
    let request = Request::get(server.app(), "/channels/presence-a%20b/users");
    expect_refused(&server, &request, 400, "channel").await;
    server.finish().await;
}

#[tokio::test]
async fn users_of_other_channels_are_not_listed() {
    let server = TestServer::start().await;
    let channels = [server.channel("presence-"), server.channel("presence-")];
    let mut client = server.connect().await;
    let mut signed_in = server.connect().await;
    client
        .subscribe_presence(&channels[0], "u1", Value::Null)
        .await;
    signed_in.sign_in("u2").await;
    assert_eq!(users(&server, &channels[0]).await, ["u1"]);
    assert!(users(&server, &channels[1]).await.is_empty());
    server.finish().await;
}
