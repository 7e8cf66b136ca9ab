//! Two apps on one server never see each other's channels, members, users, caches or events.

use protocol_tests::{PublishedEvent, Request, TestServer, or_skip};
use serde_json::json;

#[tokio::test]
async fn events_of_one_app_never_reach_the_other() {
    let server = or_skip!(TestServer::start_with_two_apps().await);
    let [first, second] = [server.app(), server.second_app()];
    for prefix in ["public-", "private-", "private-encrypted-"] {
        let channel = server.channel(prefix);
        let mut ours = server.connect_to(first).await;
        let mut theirs = server.connect_to(second).await;
        ours.subscribe(&channel).await;
        theirs.subscribe(&channel).await;
        server
            .publish_to(first, PublishedEvent::new(&channel, "x", ""))
            .await;
        ours.expect_event_on(&channel, "x").await;
        theirs.expect_nothing().await;
        server
            .publish_to(second, PublishedEvent::new(&channel, "y", ""))
            .await;
        theirs.expect_event_on(&channel, "y").await;
        ours.expect_nothing().await;
    }
    server.finish().await;
}

#[tokio::test]
async fn client_events_of_one_app_never_reach_the_other() {
    let server = or_skip!(TestServer::start_with_two_apps().await);
    let channel = server.channel("private-");
    let mut sender = server.connect_to(server.app()).await;
    let mut receiver = server.connect_to(server.app()).await;
    let mut foreign = server.connect_to(server.second_app()).await;
    for client in [&mut sender, &mut receiver, &mut foreign] {
        client.subscribe(&channel).await;
    }
    sender
        .send_client_event(&channel, "client-x", json!(1))
        .await;
    receiver.expect_event_on(&channel, "client-x").await;
    foreign.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn members_of_one_app_are_unknown_to_the_other() {
    let server = or_skip!(TestServer::start_with_two_apps().await);
    let channel = server.channel("presence-");
    let mut ours = server.connect_to(server.app()).await;
    assert_eq!(
        ours.subscribe_presence(&channel, "ann", json!({}))
            .await
            .ids,
        ["ann"]
    );
    let mut theirs = server.connect_to(server.second_app()).await;
    assert_eq!(
        theirs
            .subscribe_presence(&channel, "bob", json!({}))
            .await
            .ids,
        ["bob"]
    );
    ours.expect_nothing().await;
    drop(theirs);
    let mut same_id = server.connect_to(server.second_app()).await;
    same_id.subscribe_presence(&channel, "ann", json!({})).await;
    drop(same_id);
    ours.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn caches_are_separate() {
    let server = or_skip!(TestServer::start_with_two_apps().await);
    let channel = server.channel("cache-");
    server
        .publish_to(server.app(), PublishedEvent::new(&channel, "x", ""))
        .await;
    let mut theirs = server.connect_to(server.second_app()).await;
    theirs.subscribe(&channel).await;
    theirs.expect_event_on(&channel, "pusher:cache_miss").await;
    server.finish().await;
}

#[tokio::test]
async fn users_are_separate() {
    let server = or_skip!(TestServer::start_with_two_apps().await);
    let user_id = server.channel("user-");
    let channel = format!("#server-to-user-{user_id}");
    let mut ours = server.connect_to(server.app()).await;
    let mut theirs = server.connect_to(server.second_app()).await;
    for client in [&mut ours, &mut theirs] {
        client.sign_in(&user_id).await;
        client.subscribe(&channel).await;
    }
    server
        .publish_to(server.app(), PublishedEvent::new(&channel, "x", ""))
        .await;
    ours.expect_event_on(&channel, "x").await;
    theirs.expect_nothing().await;
    let path = format!("/users/{user_id}/terminate_connections");
    let request = Request::post(server.app(), &path).json(&json!({}));
    server.request(&request).await.expect_status(200);
    ours.expect_close_code(4009).await;
    theirs.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn channels_and_counts_are_separate() {
    let server = or_skip!(TestServer::start_with_two_apps().await);
    let channel = server.channel("public-");
    let mut ours = server.connect_to(server.app()).await;
    ours.subscribe(&channel).await;
    let other = Request::get(server.second_app(), &format!("/channels/{channel}"))
        .query("info", "subscription_count");
    let answer = server.request(&other).await.expect_status(200).json();
    assert_eq!(answer, json!({"occupied": false, "subscription_count": 0}));
    let all = Request::get(server.second_app(), "/channels").query("filter_by_prefix", &channel);
    let answer = server.request(&all).await.expect_status(200).json();
    assert_eq!(answer, json!({"channels": {}}));
    server.finish().await;
}

#[tokio::test]
async fn keys_of_one_app_open_nothing_of_the_other() {
    let server = or_skip!(TestServer::start_with_two_apps().await);
    let [first, second] = [server.app(), server.second_app()];
    let channel = server.channel("private-");
    let mut client = server.connect_to(second).await;
    let auth = first.channel_auth(&client.socket_id, &channel, None);
    client.send_subscribe(&channel, Some(&auth), None).await;
    let error = client.expect_subscription_error(&channel).await;
    assert_eq!(error.data["type"], "AuthError");
    let user_data = r#"{"id":"u1"}"#;
    let auth = first.user_auth(&client.socket_id, user_data);
    let data = json!({"auth": auth, "user_data": user_data});
    client.send_event("pusher:signin", data).await;
    client.expect_error(Some(4009)).await;
    client.expect_close_code(4009).await;
    let crossed = protocol_tests::App {
        id: second.id.clone(),
        ..first.clone()
    };
    let event = PublishedEvent::new(&channel, "x", "");
    let request = Request::post(&crossed, "/events").json(event.body());
    server.request(&request).await.expect_status(401);
    server.finish().await;
}

#[tokio::test]
async fn socket_id_excludes_in_its_own_app_only() {
    let server = or_skip!(TestServer::start_with_two_apps().await);
    let channel = server.channel("public-");
    let mut ours = server.connect_to(server.app()).await;
    ours.subscribe(&channel).await;
    let mut theirs = server.connect_to(server.second_app()).await;
    theirs.subscribe(&channel).await;
    let event = PublishedEvent::new(&channel, "x", "").excluding(&ours.socket_id);
    server.publish_to(server.second_app(), event).await;
    theirs.expect_event_on(&channel, "x").await;
    ours.expect_nothing().await;
    server.finish().await;
}
