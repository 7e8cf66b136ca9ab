//! A directory that is away, refuses, or does not keep to the protocol takes nothing down.

use std::ops::RangeInclusive;

use protocol_tests::{TestServer, or_skip};

use crate::liar::Liar;
use crate::pebble::{Habits, Pebble};
use crate::support::{expect_logged, expect_orders, unready};

const FAILED: &str = "no certificate was issued";

#[tokio::test]
async fn a_directory_that_is_away_is_asked_again_until_it_is_back() {
    let pebble = Pebble::start(Habits::default()).await;
    pebble.way.cut();
    let state = tempfile::tempdir().unwrap();
    let server = pebble.server("http-01", &["a.test"], state.path());
    let server = or_skip!(server.start().await);
    pebble.point_to(&server);
    expect_orders(&server, "unreachable", 2.0).await;
    assert!(unready(&server).await.is_some());
    pebble.way.restore();
    expect_orders(&server, "issued", 1.0).await;
    assert_eq!(unready(&server).await, None);
    // Once for all attempts.
    expect_logged(&server, FAILED, 1).await;
    server.finish().await;
}

#[tokio::test]
async fn a_proof_that_is_not_accepted_is_logged_with_the_reason() {
    let pebble = Pebble::start(Habits::default()).await;
    pebble.names.set_knows_names(false);
    let state = tempfile::tempdir().unwrap();
    let server = pebble.server("http-01", &["a.test"], state.path());
    let server = or_skip!(server.start().await);
    pebble.point_to(&server);
    expect_orders(&server, "refused", 1.0).await;
    assert!(unready(&server).await.is_some());
    let line = expect_logged(&server, FAILED, 1).await.remove(0);
    let reason = line["reason"].as_str().unwrap();
    assert!(
        reason.contains("did not accept the proof for a.test"),
        "{reason}"
    );
    assert!(line["again_in_s"].as_u64().unwrap() >= 60, "{line}");
    server.finish().await;
}

/// A server whose directory answers everything with this; what it makes of it.
async fn expect_outcome(
    answer: &str,
    repeated: &'static [u8],
    result: &str,
    reason: &str,
    again_in: RangeInclusive<u64>,
) {
    let liar = Liar::start(answer, repeated).await;
    let state = tempfile::tempdir().unwrap();
    let server = TestServer::builder()
        .set("tls.listen", "127.0.0.1:0")
        .set("server.state_dir", state.path().to_str().unwrap())
        .set("tls.acme.domains", vec!["a.test"])
        .set("tls.acme.directory", liar.url())
        .set("tls.acme.ca_certificates", liar.certificate());
    let server = or_skip!(server.start().await);
    expect_orders(&server, result, 1.0).await;
    assert!(unready(&server).await.is_some());
    let line = expect_logged(&server, FAILED, 1).await.remove(0);
    let logged = line["reason"].as_str().unwrap();
    assert!(logged.contains(reason), "{logged}");
    let seconds = line["again_in_s"].as_u64().unwrap();
    assert!(again_in.contains(&seconds), "{seconds}");
    server.finish().await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let answer = "HTTP/1.1 301 Moved Permanently\r\nLocation: https://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    expect_outcome(answer, b"", "unusable", "a redirect (status 301", 135..=225).await;
}

#[tokio::test]
async fn an_answer_without_an_end_is_not_read_to_it() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n";
    expect_outcome(
        answer,
        &[b' '; 4096],
        "unusable",
        "more than 262144 bytes",
        135..=225,
    )
    .await;
}

#[tokio::test]
async fn a_directory_that_wants_to_be_left_alone_for_ever_is_asked_again_after_a_day() {
    let answer = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 18446744073709551615\r\nContent-Length: 0\r\n\r\n";
    expect_outcome(answer, b"", "rate_limited", "status 429", 86_400..=95_040).await;
}

#[tokio::test]
async fn pages_and_nonsense_are_no_directory() {
    let page = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n<p/>";
    expect_outcome(page, b"", "unreachable", "status 503", 3..=7).await;
    let page = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n<p/>";
    expect_outcome(page, b"", "unusable", "cannot be used", 135..=225).await;
}
