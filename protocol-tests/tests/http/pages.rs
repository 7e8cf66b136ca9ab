//! What web pages get with credentials that everybody knows.
//!
//! A browser sends a page's POST of plain text without asking first, and without its user knowing.

use protocol_tests::{AppConfig, PublishedEvent, Request, Skipped, TestServer, or_skip};

use crate::support::{assert_refused, publish, subscriber};

const FOREIGN: [&str; 6] = [
    "https://example.com",
    "http://evil.example:6001",
    "http://localhost.evil.example",
    "http://evil.example/.test",
    "http://192.168.1.20:5173",
    "null",
];

async fn start(settings: impl FnOnce(AppConfig) -> AppConfig) -> Result<TestServer, Skipped> {
    let app = AppConfig::new("local")
        .set("key", "local")
        .set("secret", "local");
    TestServer::builder().app(settings(app)).start().await
}

fn from_page(request: Request, origin: &str) -> Request {
    request
        .header("Origin", origin)
        .header("Content-Type", "text/plain")
}

#[tokio::test]
async fn foreign_page_neither_publishes_nor_reads_with_known_credentials() {
    let server = or_skip!(start(|app| app).await);
    let (mut client, channel) = subscriber(&server, "news").await;
    let event = PublishedEvent::new(&channel, "made", "by a page");
    for origin in FOREIGN {
        for request in [
            publish(server.app(), &event),
            Request::post(server.app(), "/users/1/terminate_connections"),
            Request::get(server.app(), "/channels"),
        ] {
            let response = server.request(&from_page(request, origin)).await;
            assert_refused(&response, 403, "allowed_origins");
        }
    }
    let twice = from_page(publish(server.app(), &event), "http://localhost");
    let response = server
        .request(&twice.header("Origin", "https://example.com"))
        .await;
    assert_refused(&response, 403, "Origin");
    server
        .publish(PublishedEvent::new(&channel, "made", "by a backend"))
        .await;
    assert_eq!(
        client.expect_event_on(&channel, "made").await.data_text(),
        "by a backend"
    );
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn developers_own_pages_and_programs_use_known_credentials() {
    let server = or_skip!(start(|app| app).await);
    let (mut client, channel) = subscriber(&server, "news").await;
    let event = PublishedEvent::new(&channel, "made", "");
    for origin in [
        "http://localhost:5173",
        "http://127.0.0.1:8000",
        "http://[::1]",
        "https://shop.test",
        "https://shop.ddev.site:8443",
    ] {
        let request = from_page(publish(server.app(), &event), origin);
        server.request(&request).await.expect_status(200);
        client.expect_event_on(&channel, "made").await;
    }
    server.publish(event).await;
    client.expect_event_on(&channel, "made").await;
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn page_whose_name_was_made_to_stand_for_this_machine_is_kept_out() {
    let server = or_skip!(start(|app| app).await);
    // Such a page is of the same origin: browsers send no Origin with what it reads.
    for host in ["evil.example:6001", "127.0.0.1.evil.example", "relay"] {
        let request = Request::get(server.app(), "/channels").header("Host", host);
        assert_refused(&server.request(&request).await, 421, host);
    }
    for host in ["localhost:6001", "127.0.0.1", "[::1]:6001", "relay.test"] {
        let request = Request::get(server.app(), "/channels").header("Host", host);
        server.request(&request).await.expect_status(200);
    }
    server.finish().await;
}

#[tokio::test]
async fn listed_page_uses_known_credentials() {
    let listed = |app: AppConfig| app.set("allowed_origins", vec!["https://*.example.dev"]);
    let server = or_skip!(start(listed).await);
    let publish = publish(server.app(), &PublishedEvent::new("news", "made", ""));
    let tunnel =
        from_page(publish.clone(), "https://a.example.dev").header("Host", "a.example.dev");
    server.request(&tunnel).await.expect_status(200);
    let other = from_page(publish, "https://a.example.com");
    assert_refused(&server.request(&other).await, 403, "allowed_origins");
    server.finish().await;
}

#[tokio::test]
async fn secret_of_ones_own_is_all_that_a_request_needs() {
    let server = TestServer::start().await;
    let publish = publish(server.app(), &PublishedEvent::new("news", "made", ""));
    for origin in FOREIGN {
        let request = from_page(publish.clone(), origin).header("Host", "relay.example.com");
        server.request(&request).await.expect_status(200);
    }
    server.finish().await;
}
