//! Very many apps in a database.

use std::fs;
use std::time::Instant;

use protocol_tests::{AppConfig, TestServer, eventually, or_skip};

use super::server::{DatabaseServer, Kind};
use super::{has_apps, insert, is_up, relay};
use crate::support::{expect_delivery, expect_quick_start, subscriber};

const MANY: usize = 10_000;

fn resident(server: &TestServer) -> usize {
    let id = server.process_id().expect("the server is our own");
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kilobytes = kilobytes.and_then(|text| text.parse::<usize>().ok());
    kilobytes.expect("VmRSS is in kB") << 10
}

async fn ten_thousand_apps_start_quickly_and_cost_little(kind: Kind) {
    let database = DatabaseServer::start(kind).await;
    let start = Instant::now();
    let few = or_skip!(relay(&database).start().await);
    is_up(&few, true).await;
    let with_none = start.elapsed();
    let alone = resident(&few);
    for start in (0..MANY).step_by(1000) {
        let rows = (start..start + 1000).map(|number| {
            let app = AppConfig::new(&format!("app-{number}")).app();
            format!("('{}', '{}', '{}')", app.id, app.key, app.secret)
        });
        let rows = rows.collect::<Vec<_>>().join(", ");
        let statement = format!("INSERT INTO fanfare_apps (id, app_key, secret) VALUES {rows}");
        database.execute(&statement).await;
    }
    has_apps(&few, MANY).await;
    few.finish().await;
    let start = Instant::now();
    let server = or_skip!(relay(&database).start().await);
    has_apps(&server, MANY).await;
    expect_quick_start(
        &format!("{MANY} apps of {kind:?}"),
        start.elapsed(),
        with_none,
    );
    eventually("each app to take 4 KiB at most", || async {
        let each = resident(&server).saturating_sub(alone) / MANY;
        (each <= 4096).then_some(())
    })
    .await;
    let app = AppConfig::new("app-7777").app();
    let channel = server.channel("private-");
    let mut client = subscriber(&server, &app, &channel).await;
    expect_delivery(&server, &app, &channel, &mut client).await;
    // One more is seen among them.
    let one = AppConfig::new("one-more");
    database.execute(&insert(&one, "")).await;
    has_apps(&server, MANY + 1).await;
    server.connect_to(&one.app()).await;
    server.finish().await;
}

#[tokio::test]
async fn ten_thousand_apps_of_sqlite_start_quickly_and_cost_little() {
    ten_thousand_apps_start_quickly_and_cost_little(Kind::Sqlite).await;
}

#[tokio::test]
async fn ten_thousand_apps_of_postgresql_start_quickly_and_cost_little() {
    ten_thousand_apps_start_quickly_and_cost_little(Kind::Postgres).await;
}

#[tokio::test]
async fn ten_thousand_apps_of_mariadb_start_quickly_and_cost_little() {
    ten_thousand_apps_start_quickly_and_cost_little(Kind::MariaDb).await;
}
