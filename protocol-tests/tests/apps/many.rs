//! Very many apps.

use std::fs;
use std::time::Instant;

use protocol_tests::{AppConfig, Request, TestServer, TestServerBuilder, eventually, or_skip};

use crate::support::{expect_delivery, expect_quick_start, subscriber};

const MANY: usize = 10_000;

/// Resident memory of the server's process, in bytes.
fn resident(server: &TestServer) -> usize {
    let id = server.process_id().expect("the server is our own");
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kilobytes = kilobytes.and_then(|text| text.parse::<usize>().ok());
    kilobytes.expect("VmRSS is in kB") << 10
}

fn apps(count: usize) -> TestServerBuilder {
    let ids = (0..count).map(|number| AppConfig::new(&format!("app-{number}")));
    ids.fold(TestServer::builder(), |builder, app| builder.app(app))
}

#[tokio::test]
async fn ten_thousand_apps_start_quickly_and_cost_little_until_they_are_used() {
    let start = Instant::now();
    let few = or_skip!(apps(1).start().await);
    let with_one = start.elapsed();
    let alone = resident(&few);
    few.finish().await;
    let builder = apps(MANY);
    let start = Instant::now();
    let server = or_skip!(builder.start().await);
    expect_quick_start(
        &format!("{MANY} apps of the file"),
        start.elapsed(),
        with_one,
    );
    // What it took to read them is given back after a few seconds.
    eventually("each app to take 4 KiB at most", || async {
        let each = resident(&server).saturating_sub(alone) / MANY;
        (each <= 4096).then_some(())
    })
    .await;
    let metrics = server.metrics().await;
    assert_eq!(metrics.sum("fanfare_apps", &[]), MANY as f64);
    assert!(!metrics.has_label("app", "app-7777"));
    let app = AppConfig::new("app-7777").app();
    let channel = server.channel("private-");
    let mut client = subscriber(&server, &app, &channel).await;
    expect_delivery(&server, &app, &channel, &mut client).await;
    assert!(server.metrics().await.has_label("app", "app-7777"));
    let answer = server.request(&Request::get(&app, "/channels")).await;
    answer.expect_status(200);
    server.finish().await;
}
