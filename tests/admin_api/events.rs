//! Events that people send by hand.

use protocol_tests::{AppConfig, Request, or_skip};
use serde_json::json;

use crate::support::{Admin, locked, reason, start};

#[tokio::test]
async fn reach_subscribers() {
    let server = or_skip!(start().await);
    let mut client = server.connect().await;
    client.subscribe("news").await;
    let path = format!("/api/apps/{}/events", server.app().id);
    let body = json!({ "name": "made", "channel": "news", "data": "{\"n\":1}" });
    let sent = Admin::of(&server).post(&path, &body).await;
    assert_eq!(sent.expect_status(202).json(), json!({ "published": true }));
    assert_eq!(client.expect_event("made").await.data_json()["n"], 1);
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn are_judged_as_those_of_backends_are() {
    let app = AppConfig::new("1")
        .limit("event_data_bytes", 100)
        .limit("http_body_bytes", 100_000);
    let server = or_skip!(locked().app(app).start().await);
    let mut admin = Admin::of(&server);
    let path = "/api/apps/1/events";
    for (body, status, expected) in [
        (
            json!({ "name": "x", "channel": "a b", "data": "" }),
            400,
            "channels: ",
        ),
        (
            json!({ "channel": "a", "data": "" }),
            400,
            "name is missing",
        ),
        (
            json!({ "name": "x", "channel": "a" }),
            400,
            "data is missing",
        ),
        (
            json!({ "name": "x", "data": "" }),
            400,
            "channels needs at least one",
        ),
        (
            json!({ "name": "x", "channel": "a", "data": "", "chanel": 1 }),
            400,
            "unknown field `chanel`",
        ),
        (
            json!({ "name": "x", "channel": "a", "data": "x".repeat(101) }),
            413,
            "event_data_bytes",
        ),
        (json!([1]), 400, "must be a JSON object"),
    ] {
        let response = admin.post(path, &body).await;
        assert_eq!(response.status, status, "{body}: {}", response.text());
        assert!(
            reason(&response).contains(expected),
            "{body}: {}",
            response.text()
        );
    }
    let huge = Request::new("POST", path).json(&json!("x".repeat(100_001)));
    assert_eq!(admin.send(huge).await.status, 413);
    server.finish().await;
}

#[tokio::test]
async fn come_as_json_and_as_nothing_else() {
    let server = or_skip!(start().await);
    let mut admin = Admin::of(&server);
    let path = format!("/api/apps/{}/events", server.app().id);
    for kind in ["text/plain", "application/x-www-form-urlencoded", ""] {
        let request = Request::new("POST", &path)
            .body("{}")
            .header("Content-Type", kind);
        let response = admin.send(request).await;
        assert_eq!(response.status, 415, "{kind}");
    }
    let request = Request::new("POST", &path)
        .body("{\"name\":")
        .header("Content-Type", "application/json; charset=utf-8");
    let response = admin.send(request).await;
    assert_eq!(response.status, 400);
    server.finish().await;
}
