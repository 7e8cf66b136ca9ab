//! Two apps on one server: channels, members, caches, users and keys are separate.

use protocol_tests::{App, PublishedEvent, Request, TestServer, or_skip};
use serde_json::{Value, json};

use crate::support::{expect_refused, publish};

async fn get(server: &TestServer, app: &App, path: &str, info: &str) -> Value {
    let request = Request::get(app, path).query("info", info);
    server.request(&request).await.expect_status(200).json()
}

#[tokio::test]
async fn key_of_one_app_signs_nothing_of_the_other() {
    let server = or_skip!(TestServer::start_with_two_apps().await);
    for (id, signer) in [
        (server.app(), server.second_app()),
        (server.second_app(), server.app()),
    ] {
        let crossed = App {
            id: id.id.clone(),
            ..signer.clone()
        };
        let event = PublishedEvent::new("public", "x", "");
        expect_refused(&server, &publish(&crossed, &event), 401, "auth_key").await;
        expect_refused(
            &server,
            &Request::get(&crossed, "/channels"),
            401,
            "auth_key",
        )
        .await;
        let with_right_key = id.with_pair(&id.key, &signer.secret);
        expect_refused(
            &server,
            &publish(&with_right_key, &event),
            401,
            "auth_signature",
        )
        .await;
    }
    server.finish().await;
}

#[tokio::test]
async fn event_of_one_app_never_reaches_the_other() {
    let server = or_skip!(TestServer::start_with_two_apps().await);
    let channel = server.channel("cache-");
    let mut ours = server.connect_to(server.app()).await;
    let mut theirs = server.connect_to(server.second_app()).await;
    for client in [&mut ours, &mut theirs] {
        client.subscribe(&channel).await;
        client.expect_event_on(&channel, "pusher:cache_miss").await;
    }
    server
        .publish_to(server.app(), PublishedEvent::new(&channel, "x", "ours"))
        .await;
    ours.expect_event_on(&channel, "x").await;
    theirs.expect_nothing().await;
    let path = format!("/channels/{channel}");
    let their_cache = get(&server, server.second_app(), &path, "cache").await;
    assert!(their_cache["cache"].is_null(), "{their_cache}");
    let our_cache = get(&server, server.app(), &path, "cache").await;
    assert_eq!(our_cache["cache"]["data"], "ours");
    server.finish().await;
}

#[tokio::test]
async fn channels_counts_and_members_are_each_apps_own() {
    let server = or_skip!(TestServer::start_with_two_apps().await);
    let channel = server.channel("presence-");
    let mut ours = [server.connect().await, server.connect().await];
    for (client, user) in ours.iter_mut().zip(["u1", "u2"]) {
        client.subscribe_presence(&channel, user, json!({})).await;
    }
    let mut theirs = server.connect_to(server.second_app()).await;
    let roster = theirs.subscribe_presence(&channel, "u3", json!({})).await;
    assert_eq!(roster.ids, ["u3"]);
    let info = "user_count,subscription_count";
    for (app, count, ids) in [
        (server.app(), 2, json!(["u1", "u2"])),
        (server.second_app(), 1, json!(["u3"])),
    ] {
        let state = get(&server, app, &format!("/channels/{channel}"), info).await;
        assert_eq!(
            state,
            json!({"occupied": true, "user_count": count, "subscription_count": count})
        );
        let request = Request::get(app, "/channels").query("filter_by_prefix", &channel);
        let list = server.request(&request).await.expect_status(200).json();
        assert_eq!(list, json!({"channels": {&channel: {}}}));
        let request = Request::get(app, &format!("/channels/{channel}/users"));
        let users = server.request(&request).await.expect_status(200).json();
        let mut users: Vec<Value> = users["users"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|user| user["id"].clone())
            .collect();
        users.sort_by_key(Value::to_string);
        assert_eq!(json!(users), ids);
    }
    drop(theirs);
    ours[0].wait_for_event("pusher_internal:member_added").await;
    ours[0].expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn terminating_a_user_leaves_their_namesake_of_the_other_app() {
    let server = or_skip!(TestServer::start_with_two_apps().await);
    let mut ours = server.connect_to(server.app()).await;
    let mut theirs = server.connect_to(server.second_app()).await;
    for client in [&mut ours, &mut theirs] {
        client.sign_in("u1").await;
        client
            .send_subscribe("#server-to-user-u1", None, None)
            .await;
        client.expect_subscribed("#server-to-user-u1").await;
    }
    let event = PublishedEvent::new("#server-to-user-u1", "x", "");
    server.publish_to(server.app(), event).await;
    ours.expect_event_on("#server-to-user-u1", "x").await;
    let request = Request::post(server.app(), "/users/u1/terminate_connections");
    server.request(&request).await.expect_status(200);
    ours.expect_close_code(4009).await;
    theirs.expect_nothing().await;
    server.finish().await;
}
