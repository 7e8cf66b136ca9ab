//! Allowed origins: which pages may connect.

use protocol_tests::{AppConfig, Skipped, TestServer, Upgrade, or_skip};

use crate::support::{assert_served, upgrade};

async fn start(origins: &[&str]) -> Result<TestServer, Skipped> {
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
    let server = or_skip!(start(&["https://example.com", "http://localhost:3000"]).await);
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
async fn handshake_without_an_origin_is_admitted_where_that_is_configured() {
    let app = AppConfig::new("10001").set("allowed_origins", vec!["https://example.com"]);
    let app = app.set("allow_missing_origin", true);
    let server = or_skip!(TestServer::builder().app(app).start().await);
    let mut client = server.connect().await;
    assert_served(&server, &mut client).await;
    assert_refused(&server, &from(&server, "https://example.org")).await;
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn refusal_names_what_would_be_accepted() {
    let server = or_skip!(start(&["https://example.com"]).await);
    for (upgrade, key) in [
        (upgrade(server.app(), "protocol=7"), "allow_missing_origin"),
        (from(&server, "https://example.org"), "allowed_origins"),
    ] {
        let (error, close) = server.open_refused(&upgrade).await;
        assert!(error.text.contains(key), "{}", error.text);
        assert!(close.reason.contains(key), "{}", close.reason);
    }
    server.finish().await;
}

#[tokio::test]
async fn second_origin_is_refused_whichever_is_listed() {
    let server = or_skip!(start(&["https://example.com"]).await);
    let (good, bad) = ("https://example.com", "https://evil.org");
    for (first, second) in [(good, bad), (bad, good)] {
        // Another spelling of the name, so that it comes beside the first.
        let upgrade = from(&server, first).header("origin", second);
        assert_refused(&server, &upgrade).await;
    }
    assert_refused(&server, &from(&server, &format!("{good}, {bad}"))).await;
    assert_refused(&server, &from(&server, &format!("{bad} {good}"))).await;
    server.finish().await;
}

#[tokio::test]
async fn ports_that_browsers_leave_out_may_be_listed() {
    let server = or_skip!(start(&["https://a.example:443", "http://b.example:80"]).await);
    for origin in [
        "https://a.example",
        "https://a.example:443",
        "http://b.example",
    ] {
        assert_allowed(&server, origin).await;
    }
    for origin in [
        "http://a.example",
        "https://a.example:80",
        "https://b.example",
    ] {
        assert_refused(&server, &from(&server, origin)).await;
    }
    server.finish().await;
}

#[tokio::test]
async fn known_credentials_admit_pages_of_this_machine_and_programs() {
    let app = AppConfig::new("local")
        .set("key", "local")
        .set("secret", "local");
    let server = or_skip!(TestServer::builder().app(app).start().await);
    for origin in [
        "http://localhost:5173",
        "https://127.0.0.1",
        "http://[::1]:3000",
        "https://app.localhost",
        "https://shop.test",
        "http://macbook.local:8000",
        "https://shop.ddev.site",
        "capacitor://localhost",
    ] {
        assert_allowed(&server, origin).await;
    }
    let mut program = server.connect().await;
    assert_served(&server, &mut program).await;
    drop(program);
    for origin in [
        "https://example.com",
        "http://evil.example:6001",
        "http://localhost.evil.example",
        "http://192.168.1.20:5173",
        "null",
    ] {
        let (error, close) = server.open_refused(&from(&server, origin)).await;
        assert_eq!(close.code, Some(4009), "{origin}");
        assert!(error.text.contains("allowed_origins"), "{}", error.text);
    }
    server.finish().await;
}

#[tokio::test]
async fn star_stands_for_any_characters() {
    let server = or_skip!(start(&["https://*.example.com"]).await);
    assert_allowed(&server, "https://a.example.com").await;
    assert_allowed(&server, "https://a.b.example.com").await;
    for origin in [
        "https://example.com",
        "https://a.example.com.evil.org",
        "https://aexample.com",
        "http://a.example.com",
        "https://evil.com/.example.com",
        "https://evil.com#.example.com",
        "https://evil.com:1.example.com",
        "https://evil.com@a.example.com",
    ] {
        assert_refused(&server, &from(&server, origin)).await;
    }
    server.finish().await;
}
