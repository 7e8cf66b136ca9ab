//! `auth_timestamp` is in seconds and near now, both ways.

use protocol_tests::request::now;
use protocol_tests::{AppConfig, Request, TestServer, or_skip};

use crate::support::expect_refused;

/// Seconds that may pass between signing here and checking there.
const SLACK: u64 = 30;

fn channels_at(server: &TestServer, timestamp: u64) -> Request {
    Request::get(server.app(), "/channels").timestamp(&timestamp.to_string())
}

#[tokio::test]
async fn timestamp_within_600_seconds_either_way_is_accepted() {
    let server = TestServer::start().await;
    for timestamp in [now() - (600 - SLACK), now(), now() + 600 - SLACK] {
        let request = channels_at(&server, timestamp);
        server.request(&request).await.expect_status(200);
    }
    server.finish().await;
}

#[tokio::test]
async fn timestamp_beyond_600_seconds_either_way_is_401_naming_it() {
    let server = TestServer::start().await;
    for timestamp in [
        0,
        1,
        now() - 601,
        now() + 600 + SLACK,
        now() + (1 << 40),
        u64::MAX,
    ] {
        let request = channels_at(&server, timestamp);
        expect_refused(&server, &request, 401, "auth_timestamp").await;
    }
    server.finish().await;
}

#[tokio::test]
async fn timestamp_in_milliseconds_is_401_naming_it() {
    let server = TestServer::start().await;
    let request = channels_at(&server, now() * 1000);
    expect_refused(&server, &request, 401, "auth_timestamp").await;
    server.finish().await;
}

#[tokio::test]
async fn timestamp_that_is_no_number_of_seconds_is_401_naming_it() {
    let server = TestServer::start().await;
    let now = now();
    for timestamp in [
        "now",
        "-1",
        &format!("-{now}"),
        &format!("{now}.5"),
        &format!("{now}s"),
        &format!(" {now}"),
        &format!("0x{now:x}"),
        "1e9",
        "2026-01-01T00:00:00Z",
        "99999999999999999999999999",
        "\0",
        "١٧٠٠٠٠٠٠٠٠",
    ] {
        let request = Request::get(server.app(), "/channels").timestamp(timestamp);
        expect_refused(&server, &request, 401, "auth_timestamp").await;
    }
    server.finish().await;
}

#[tokio::test]
async fn window_of_the_timestamp_is_configurable() {
    let app = AppConfig::new("10001").limit("auth_timestamp_window", 3600);
    let server = or_skip!(TestServer::builder().app(app).start().await);
    for timestamp in [now() - (3600 - SLACK), now() + 3600 - SLACK] {
        let request = channels_at(&server, timestamp);
        server.request(&request).await.expect_status(200);
    }
    for timestamp in [now() - 3601, now() + 3600 + SLACK] {
        let request = channels_at(&server, timestamp);
        expect_refused(&server, &request, 401, "auth_timestamp").await;
    }
    server.finish().await;
}
