//! The path as requested is signed, percent-encoding kept, with or without the configured prefix.

use protocol_tests::request::percent_encode;
use protocol_tests::{HttpClient, Request, Skipped, TestServer, or_skip};
use serde_json::json;

use crate::support::{expect_refused, subscriber};

#[tokio::test]
async fn percent_encoded_path_is_signed_as_requested_and_decoded_for_use() {
    let server = TestServer::start().await;
    let channel = server.channel("public-=@,.;_-");
    let mut client = server.connect().await;
    client.subscribe(&channel).await;
    let encoded = percent_encode(&channel);
    assert_ne!(encoded, channel);
    for path in [
        &channel,
        &encoded,
        &encoded.to_lowercase(),
        &channel.replace("pub", "%70u%62"),
    ] {
        let request = Request::get(server.app(), &format!("/channels/{path}"));
        let answer = server.request(&request).await.expect_status(200).json();
        assert_eq!(answer, json!({"occupied": true}), "{path}");
    }
    server.finish().await;
}

#[tokio::test]
async fn decoded_path_is_not_what_is_signed() {
    let server = TestServer::start().await;
    let app = server.app();
    let request = Request::get(app, "/channels/public-a%40b");
    let decoded = format!("/apps/{}/channels/public-a@b", app.id);
    let signed_decoded = request.clone().signed_path(&decoded);
    expect_refused(&server, &signed_decoded, 401, "auth_signature").await;
    let other_case = Request::get(app, "/channels/public-a%3Db");
    let signed_in_lower_case =
        other_case.signed_path(&format!("/apps/{}/channels/public-a%3db", app.id));
    expect_refused(&server, &signed_in_lower_case, 401, "auth_signature").await;
    server.finish().await;
}

#[tokio::test]
async fn slashes_that_are_too_many_are_taken_whether_or_not_they_were_signed() {
    let server = TestServer::start().await;
    let app = server.app();
    for path in [
        "//apps/ID/channels",
        "/apps/ID/channels/",
        "///apps/ID/channels/",
    ] {
        let path = path.replace("ID", &app.id);
        let as_sent = Request::new("GET", &path).signed(app);
        let tidy = as_sent
            .clone()
            .signed_path(&format!("/apps/{}/channels", app.id));
        for request in [as_sent, tidy] {
            server.request(&request).await.expect_status(200);
        }
    }
    let between = format!("/apps/{}//channels", app.id);
    let between = Request::new("GET", &between).signed(app);
    server.request(&between).await.expect_status(404);
    server.finish().await;
}

async fn start_with_prefix() -> Result<TestServer, Skipped> {
    TestServer::builder()
        .set("server.path_prefix", "/relay/v1")
        .start()
        .await
}

/// Sends a request without the server's prefix.
async fn send_without_prefix(server: &TestServer, request: &Request) -> u16 {
    let mut endpoint = server.endpoint().clone();
    endpoint.prefix.clear();
    HttpClient::new(endpoint).send(request).await.status
}

#[tokio::test]
async fn requests_are_served_with_and_without_the_prefix_and_signed_either_way() {
    // pusher-php signs without it.
    let server = or_skip!(start_with_prefix().await);
    let id = &server.app().id;
    let request = Request::get(server.app(), "/channels");
    for signed in [
        format!("/apps/{id}/channels"),
        format!("/relay/v1/apps/{id}/channels"),
    ] {
        let request = request.clone().signed_path(&signed);
        server.request(&request).await.expect_status(200);
        assert_eq!(
            send_without_prefix(&server, &request).await,
            200,
            "{signed}"
        );
    }
    server.finish().await;
}

#[tokio::test]
async fn no_other_path_may_be_signed() {
    let server = or_skip!(start_with_prefix().await);
    let id = &server.app().id;
    for signed in [
        format!("/relay/apps/{id}/channels"),
        format!("/v1/apps/{id}/channels"),
        format!("/relay/v1/relay/v1/apps/{id}/channels"),
        format!("/relay/v1/apps/{id}/channels/"),
        format!("/other/apps/{id}/channels"),
        format!("apps/{id}/channels"),
        String::new(),
    ] {
        let request = Request::get(server.app(), "/channels").signed_path(&signed);
        expect_refused(&server, &request, 401, "auth_signature").await;
    }
    server.finish().await;
}

#[tokio::test]
async fn clients_connect_below_the_prefix_and_publishes_reach_them() {
    let server = or_skip!(start_with_prefix().await);
    let (mut client, channel) = subscriber(&server, "public-").await;
    server
        .publish(protocol_tests::PublishedEvent::new(&channel, "x", "y"))
        .await;
    client.expect_event_on(&channel, "x").await;
    for path in ["/", "/up", "/health", "/ready"] {
        let request = Request::new("GET", path);
        server.request(&request).await.expect_status(200);
        assert_eq!(send_without_prefix(&server, &request).await, 200, "{path}");
    }
    server.finish().await;
}

#[tokio::test]
async fn text_that_merely_begins_like_the_prefix_is_another_path() {
    let server = or_skip!(start_with_prefix().await);
    for path in [
        "/relay/v1x/up",
        "/relay/up",
        "/v1/up",
        "/relay/v1/relay/v1/up",
    ] {
        let status = send_without_prefix(&server, &Request::new("GET", path)).await;
        assert_eq!(status, 404, "{path}");
    }
    server.finish().await;
}
