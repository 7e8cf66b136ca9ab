//! `POST /apps/{id}/users/{user_id}/force_reconnect`, which Fanfare adds to the protocol.

use protocol_tests::names::unique;
use protocol_tests::request::percent_encode;
use protocol_tests::{AppConfig, Request, Skipped, TestServer, or_skip};
use serde_json::json;

use crate::support::{assert_refused, expect_refused};

async fn start() -> Result<TestServer, Skipped> {
    let builder = TestServer::builder().set("server.workers", 4);
    builder.extension("force_reconnect").start().await
}

fn path(user_id: &str) -> String {
    format!("/users/{}/force_reconnect", percent_encode(user_id))
}

async fn force_reconnect(server: &TestServer, user_id: &str, body: &str) {
    let request = Request::post(server.app(), &path(user_id)).body(body);
    let response = server.request(&request).await.expect_status(200);
    assert_eq!(response.json(), json!({}));
}

#[tokio::test]
async fn every_connection_of_the_user_is_closed_with_4200_and_no_other_ones() {
    let server = or_skip!(start().await);
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
        force_reconnect(&server, &user, body).await;
        for client in &mut own {
            client.expect_close_code(4200).await;
        }
        other_user.expect_nothing().await;
        nobody.expect_nothing().await;
    }
    server.finish().await;
}

#[tokio::test]
async fn presence_alone_is_not_being_signed_in() {
    let server = or_skip!(start().await);
    let user = unique("u-");
    let channel = server.channel("presence-");
    let mut present = server.connect().await;
    present.subscribe_presence(&channel, &user, json!({})).await;
    let mut signed_in = server.connect().await;
    signed_in.sign_in(&user).await;
    force_reconnect(&server, &user, "{}").await;
    signed_in.expect_close_code(4200).await;
    present.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn a_subscription_signed_as_the_users_is_as_good_as_being_signed_in() {
    let server = or_skip!(start().await);
    let user = unique("u-");
    let data = json!({"user_id": user, "sign_in": true}).to_string();
    for kind in ["private-", "presence-"] {
        for (call, code) in [("force_reconnect", 4200), ("terminate_connections", 4009)] {
            let channel = server.channel(kind);
            let mut client = server.connect().await;
            client.send_signed_subscribe(&channel, Some(&data)).await;
            client.expect_subscribed(&channel).await;
            let path = format!("/users/{}/{call}", percent_encode(&user));
            let request = Request::post(server.app(), &path).body("{}");
            server.request(&request).await.expect_status(200);
            client.expect_close_code(code).await;
        }
    }
    server.finish().await;
}

#[tokio::test]
async fn user_of_another_app_is_left_alone() {
    let builder = TestServer::builder().app(AppConfig::new("10001"));
    let builder = builder.app(AppConfig::new("20002"));
    let server = or_skip!(builder.start().await);
    let user = unique("u-");
    let mut elsewhere = server.connect_to(server.second_app()).await;
    elsewhere.sign_in(&user).await;
    force_reconnect(&server, &user, "{}").await;
    elsewhere.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn user_without_a_connection_is_200_and_an_empty_object() {
    let server = or_skip!(start().await);
    for user in ["nobody", "u/1", "ü 😀", ".."] {
        force_reconnect(&server, user, "{}").await;
        force_reconnect(&server, user, "").await;
    }
    server.finish().await;
}

#[tokio::test]
async fn user_that_was_made_to_reconnect_may_sign_in_again() {
    let server = or_skip!(start().await);
    let user = unique("u/");
    for _ in 0..3 {
        let mut client = server.connect().await;
        client.sign_in(&user).await;
        force_reconnect(&server, &user, "{}").await;
        client.expect_close_code(4200).await;
    }
    let mut client = server.connect().await;
    client.sign_in(&user).await;
    client.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn request_must_be_signed() {
    let server = or_skip!(start().await);
    let user = unique("u-");
    let mut client = server.connect().await;
    client.sign_in(&user).await;
    let signed = Request::post(server.app(), &path(&user));
    let wrong = signed.clone().secret("a guess");
    expect_refused(&server, &wrong, 401, "auth_signature").await;
    let missing = signed.without("auth_signature");
    expect_refused(&server, &missing, 401, "auth_signature").await;
    client.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn wrong_method_is_405_naming_the_right_one() {
    let server = or_skip!(start().await);
    let app = server.app();
    let path = format!("/apps/{}{}", app.id, path("1"));
    for method in ["GET", "PUT", "DELETE", "PATCH"] {
        let request = Request::new(method, &path).signed(app);
        let response = server.request(&request).await;
        assert_refused(&response, 405, "POST");
        assert_eq!(response.header("allow"), Some("POST, OPTIONS"), "{method}");
    }
    let response = server.request(&Request::new("OPTIONS", &path)).await;
    response.expect_status(204);
    server.finish().await;
}

#[tokio::test]
async fn requests_are_counted_under_their_own_route() {
    let server = or_skip!(start().await);
    force_reconnect(&server, "nobody", "").await;
    let labels = [("route", "force_reconnect"), ("status", "2xx")];
    let metrics = server.metrics().await;
    assert_eq!(metrics.sum("fanfare_http_requests_total", &labels), 1.0);
    server.finish().await;
}
