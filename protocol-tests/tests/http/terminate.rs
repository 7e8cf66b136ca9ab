//! `POST /apps/{id}/users/{user_id}/terminate_connections`.

use std::time::{Duration, Instant};

use protocol_tests::names::unique;
use protocol_tests::request::percent_encode;
use protocol_tests::{Request, TestServer, or_skip};
use serde_json::json;

async fn terminate(server: &TestServer, user_id: &str, body: &str) {
    let path = format!("/users/{}/terminate_connections", percent_encode(user_id));
    let request = Request::post(server.app(), &path).body(body);
    let response = server.request(&request).await.expect_status(200);
    assert_eq!(response.json(), json!({}));
}

#[tokio::test]
async fn every_connection_of_the_user_is_closed_with_4009_and_no_other_ones() {
    let builder = TestServer::builder().set("server.workers", 4);
    let server = or_skip!(builder.start().await);
    for body in ["", "{}"] {
        let user = unique("u-");
        let mut own = Vec::new();
        for _ in 0..6 {
            let mut client = server.connect().await;
            client.sign_in(&user).await;
            own.push(client);
        }
        let mut other_user = server.connect().await;
        other_user.sign_in(&format!("{user}2")).await;
        let mut nobody = server.connect().await;
        terminate(&server, &user, body).await;
        for client in &mut own {
            client.expect_close_code(4009).await;
        }
        other_user.expect_nothing().await;
        nobody.expect_nothing().await;
    }
    server.finish().await;
}

#[tokio::test]
async fn user_with_500_connections_is_closed_soon_and_nobody_else() {
    let builder = TestServer::builder().set("server.workers", 4);
    let server = or_skip!(builder.start().await);
    let user = unique("u-");
    let mut others = [server.connect().await, server.connect().await];
    others[0].sign_in(&format!("{user}2")).await;
    let mut own = Vec::new();
    for _ in 0..500 {
        let mut client = server.connect().await;
        client.sign_in(&user).await;
        own.push(client);
    }
    let began = Instant::now();
    terminate(&server, &user, "{}").await;
    for client in &mut own {
        assert_eq!(client.socket.read_close().await.code, Some(4009));
    }
    let took = began.elapsed();
    // A fraction of a second, where the machine has nothing else to do.
    assert!(took < Duration::from_secs(10), "{took:?}");
    drop(own);
    for other in &mut others {
        other.expect_nothing().await;
    }
    server.finish().await;
}

#[tokio::test]
async fn presence_alone_is_not_being_signed_in() {
    // Sockudo also closed connections that never signed in.
    let server = TestServer::start().await;
    let user = unique("u-");
    let channel = server.channel("presence-");
    let mut present = server.connect().await;
    present.subscribe_presence(&channel, &user, json!({})).await;
    let mut signed_in = server.connect().await;
    signed_in.sign_in(&user).await;
    terminate(&server, &user, "{}").await;
    signed_in.expect_close_code(4009).await;
    present.expect_nothing().await;
    let answer = server
        .get(&format!("/channels/{channel}"), &[("info", "user_count")])
        .await;
    assert_eq!(answer, json!({"occupied": true, "user_count": 1}));
    server.finish().await;
}

#[tokio::test]
async fn user_without_a_connection_is_200_and_an_empty_object() {
    let server = TestServer::start().await;
    for user in [
        "nobody",
        "u/1",
        "ü 😀",
        "a\0b",
        "..",
        "%",
        &"u".repeat(1000),
    ] {
        terminate(&server, user, "{}").await;
        terminate(&server, user, "").await;
    }
    server.finish().await;
}

#[tokio::test]
async fn user_id_of_the_path_is_decoded() {
    let server = TestServer::start().await;
    for id in ["u/1", "ü 😀", "a+b", "100%", "a\"b", "#1", "."] {
        let user = format!("{}{id}", unique("u-"));
        let mut client = server.connect().await;
        client.sign_in(&user).await;
        terminate(&server, &user, "{}").await;
        client.expect_close_code(4009).await;
    }
    server.finish().await;
}

#[tokio::test]
async fn terminated_user_may_connect_and_sign_in_again() {
    let server = TestServer::start().await;
    let user = unique("u-");
    for _ in 0..3 {
        let mut client = server.connect().await;
        client.sign_in(&user).await;
        terminate(&server, &user, "{}").await;
        client.expect_close_code(4009).await;
    }
    let mut client = server.connect().await;
    client.sign_in(&user).await;
    client.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn terminated_connection_has_left_its_channels_once_the_close_is_seen() {
    let server = TestServer::start().await;
    let user = unique("u-");
    let channel = server.channel("presence-");
    let mut client = server.connect().await;
    client.sign_in(&user).await;
    client.subscribe_presence(&channel, &user, json!({})).await;
    terminate(&server, &user, "{}").await;
    client.expect_close_code(4009).await;
    let answer = server
        .get(&format!("/channels/{channel}"), &[("info", "user_count")])
        .await;
    assert_eq!(answer, json!({"occupied": false, "user_count": 0}));
    server.finish().await;
}
