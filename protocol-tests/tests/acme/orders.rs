//! A certificate is ordered when there is none, and renewed in time.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use protocol_tests::{Request, or_skip};

use crate::pebble::{Habits, Pebble, certificate, files};
use crate::support::{expect_logged, expect_orders, orders, unready};

#[tokio::test]
async fn a_certificate_is_ordered_over_http_and_kept_for_its_owner_alone() {
    let pebble = Pebble::start(Habits::default()).await;
    let outer = tempfile::tempdir().unwrap();
    let state = outer.path().join("state");
    let server = pebble.server("http-01", &["a.test", "b.test"], &state);
    let server = or_skip!(server.start().await);
    assert_eq!(
        unready(&server).await.as_deref(),
        Some("there is no certificate for a.test yet")
    );
    pebble.point_to(&server);
    expect_orders(&server, "issued", 1.0).await;
    assert_eq!(unready(&server).await, None);
    let files = files(&state);
    assert_eq!(files.len(), 2, "an account and a certificate: {files:?}");
    for file in &files {
        assert_eq!(
            fs::metadata(file).unwrap().permissions().mode() & 0o777,
            0o600
        );
        for folder in file
            .ancestors()
            .skip(1)
            .take_while(|it| it.starts_with(&state))
        {
            assert_eq!(
                fs::metadata(folder).unwrap().permissions().mode() & 0o777,
                0o700
            );
        }
    }
    // What was shown to the authority is shown no more.
    let token = Request::new("GET", "/.well-known/acme-challenge/token");
    server.request(&token).await.expect_status(404);
    server.finish().await;
}

#[tokio::test]
async fn a_server_with_a_path_prefix_answers_the_authority_as_well() {
    let pebble = Pebble::start(Habits::default()).await;
    let state = tempfile::tempdir().unwrap();
    let server = pebble.server("http-01", &["a.test"], state.path());
    let server = or_skip!(server.set("server.path_prefix", "/relay").start().await);
    pebble.point_to(&server);
    expect_orders(&server, "issued", 1.0).await;
    server.finish().await;
}

#[tokio::test]
async fn a_certificate_is_renewed_before_it_expires() {
    let habits = Habits {
        validity: 12,
        ..Habits::default()
    };
    let pebble = Pebble::start(habits).await;
    let state = tempfile::tempdir().unwrap();
    let server = pebble.server("http-01", &["a.test"], state.path());
    let server = or_skip!(server.start().await);
    pebble.point_to(&server);
    expect_orders(&server, "issued", 1.0).await;
    let file = certificate(state.path());
    let first = fs::read(&file).unwrap();
    expect_orders(&server, "issued", 2.0).await;
    assert_ne!(fs::read(&file).unwrap(), first);
    expect_logged(&server, "a certificate was issued", 2).await;
    server.finish().await;
}

#[tokio::test]
async fn a_restarted_server_has_its_certificate_and_orders_none() {
    let pebble = Pebble::start(Habits::default()).await;
    let state = tempfile::tempdir().unwrap();
    let server = pebble.server("http-01", &["a.test"], state.path());
    let server = or_skip!(server.to_be_restarted().start().await);
    pebble.point_to(&server);
    expect_orders(&server, "issued", 1.0).await;
    pebble.way.cut();
    let server = server.restart().await;
    assert_eq!(unready(&server).await, None);
    for result in ["issued", "unreachable"] {
        assert_eq!(orders(&server, result).await, 0.0);
    }
    server.finish().await;
}

#[tokio::test]
async fn a_directory_that_refuses_nonces_is_asked_again() {
    let habits = Habits {
        refused_nonces: 20,
        ..Habits::default()
    };
    let pebble = Pebble::start(habits).await;
    let state = tempfile::tempdir().unwrap();
    let server = pebble.server("http-01", &["a.test", "b.test"], state.path());
    let server = or_skip!(server.start().await);
    pebble.point_to(&server);
    expect_orders(&server, "issued", 1.0).await;
    server.finish().await;
}
