//! Allowed origins: which pages may connect.

use protocol_tests::{AppConfig, TestServer, Upgrade};

use crate::support::{assert_served, upgrade};

async fn start(origins: &[&str]) -> Option<TestServer> {
    let app = AppConfig::new("10001").set("allowed_origins", origins.to_vec());
    TestServer::builder().app(app).start().await
}

fn from(server: &TestServer, origin: &str) -> Upgrade {
    upgrade(server.app(), "protocol=7").header("Origin", origin)
}

async fn assert_allowed(server: &TestServer, origin: &str) {
    let mut client = server
        .connect_with(server.app(), &from(server, origin))
        .await;
    assert_served(server, &mut client).await;
}

async fn assert_refused(server: &TestServer, upgrade: &Upgrade) {
    // Reverb sent an error and left the socket open, free to subscribe.
    let (_, close) = server.open_refused(upgrade).await;
    assert_eq!(close.code, Some(4009), "{upgrade:?}");
}

#[tokio::test]
async fn every_origin_is_allowed_by_default() {
    let server = TestServer::start().await;
    for origin in ["https://example.com", "null", "http://localhost:5173"] {
        assert_allowed(&server, origin).await;
    }
    server.finish().await;
}

#[tokio::test]
async fn listed_origin_is_allowed_and_any_other_closed() {
    let Some(server) = start(&["https://example.com", "http://localhost:3000"]).await else {
        return;
    };
    assert_allowed(&server, "https://example.com").await;
    assert_allowed(&server, "HTTPS://EXAMPLE.COM").await;
    assert_allowed(&server, "http://localhost:3000").await;
    for origin in [
        "http://example.com",
        "https://example.com.evil.org",
        "https://evil.org",
        "https://notexample.com",
        "https://sub.example.com",
        "http://localhost:3001",
        "null",
        "",
    ] {
        assert_refused(&server, &from(&server, origin)).await;
    }
    assert_refused(&server, &upgrade(server.app(), "protocol=7")).await;
    server.finish().await;
}

#[tokio::test]
async fn star_stands_for_any_characters() {
    let Some(server) = start(&["https://*.example.com"]).await else {
        return;
    };
    assert_allowed(&server, "https://a.example.com").await;
    assert_allowed(&server, "https://a.b.example.com").await;
    for origin in [
        "https://example.com",
        "https://a.example.com.evil.org",
        "https://aexample.com",
        "http://a.example.com",
    ] {
        assert_refused(&server, &from(&server, origin)).await;
    }
    server.finish().await;
}
