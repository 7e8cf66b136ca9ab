//! A node whose `server.role` is `api`: it takes publishes and no WebSockets.

use protocol_tests::{PublishedEvent, Request, TestServer};
use serde_json::json;

use crate::support::upgrade;

async fn start() -> Option<TestServer> {
    TestServer::builder()
        .set("server.role", "api")
        .start()
        .await
}

#[tokio::test]
async fn websockets_are_refused_with_a_status_that_says_why() {
    let Some(server) = start().await else {
        return;
    };
    for _ in 0..2 {
        let refused = server.open(&upgrade(server.app(), "protocol=7")).await;
        let response = refused.expect_err("the node takes no WebSockets");
        assert_eq!(response.status, 421);
        assert!(
            response.text().contains("server.role"),
            "{}",
            response.text()
        );
    }
    let metrics = server.metrics().await;
    let name = "fanfare_connections_refused_total";
    assert_eq!(metrics.sum(name, &[("reason", "role")]), 2.0);
    server.finish().await;
}

#[tokio::test]
async fn it_is_ready_and_serves_the_http_api() {
    let Some(server) = start().await else {
        return;
    };
    let ready = server.request(&Request::new("GET", "/ready")).await;
    ready.expect_status(200);
    let channel = server.channel("orders-");
    let answer = server
        .publish(PublishedEvent::new(&channel, "e", "x"))
        .await;
    assert_eq!(answer, json!({}));
    let channels = server.get("/channels", &[]).await;
    assert_eq!(channels, json!({"channels": {}}));
    server.finish().await;
}
