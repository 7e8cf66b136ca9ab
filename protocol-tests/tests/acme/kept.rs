//! What is kept may be broken, or forgotten by the authority.

use std::fs;

use protocol_tests::or_skip;

use crate::pebble::{Habits, Pebble, certificate, files};
use crate::support::{expect_logged, expect_orders};

#[tokio::test]
async fn files_that_are_broken_are_made_anew() {
    let pebble = Pebble::start(Habits::default()).await;
    let state = tempfile::tempdir().unwrap();
    let server = pebble.server("http-01", &["a.test"], state.path());
    let server = or_skip!(server.to_be_restarted().start().await);
    pebble.point_to(&server);
    expect_orders(&server, "issued", 1.0).await;
    for file in files(state.path()) {
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, &text[..text.len() / 2]).unwrap();
    }
    let server = server.restart().await;
    expect_orders(&server, "issued", 1.0).await;
    expect_logged(&server, "a file cannot be used", 2).await;
    server.finish().await;
}

#[tokio::test]
async fn an_account_that_the_directory_has_forgotten_is_replaced() {
    let mut pebble = Pebble::start(Habits::default()).await;
    let state = tempfile::tempdir().unwrap();
    let server = pebble.server("http-01", &["a.test"], state.path());
    let server = or_skip!(server.to_be_restarted().start().await);
    pebble.point_to(&server);
    expect_orders(&server, "issued", 1.0).await;
    fs::remove_file(certificate(state.path())).unwrap();
    pebble.restart().await;
    let server = server.restart().await;
    expect_orders(&server, "issued", 1.0).await;
    server.finish().await;
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_named_at_start() {
    let pebble = Pebble::start(Habits::default()).await;
    let outer = tempfile::tempdir().unwrap();
    let file = outer.path().join("file");
    fs::write(&file, "").unwrap();
    let exit = pebble
        .server("http-01", &["a.test"], &file)
        .start_and_exit()
        .await;
    let exit = or_skip!(exit);
    assert_ne!(exit.code, Some(0));
    let log = exit.log.join("\n");
    assert!(log.contains("cannot keep certificates in"), "{log}");
    assert!(log.contains("server.state_dir"), "{log}");
}
