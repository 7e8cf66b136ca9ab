//! A log that is not read holds nothing up, and SIGHUP ends nothing.

use std::io::{PipeReader, Read as _, pipe};
use std::process::Command;

use protocol_tests::subject::Endpoint;
use protocol_tests::{HttpClient, Request, eventually};
use serde_json::{Value, json};

use crate::support::postgres::ends_with_its_test;
use crate::support::{Api, Database, Desk, Kind};

/// Reads the log up to the line with the address, and not a byte further.
fn address(log: &mut PipeReader) -> String {
    loop {
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            let mut byte = [0];
            log.read_exact(&mut byte).unwrap();
            line.push(byte[0]);
        }
        let line: serde_json::Value = serde_json::from_slice(&line).unwrap();
        if line["message"] == "listening" {
            return line["address"].as_str().unwrap().to_owned();
        }
    }
}

#[tokio::test]
async fn a_log_that_nobody_reads_keeps_nobody_waiting() {
    let database = Database::seeded(Kind::Sqlite).await;
    let (mut log, writer) = pipe().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_conversation-api"));
    command
        .args(["serve", "--env-file", "/dev/null"])
        .env_clear()
        .env("DATABASE_URL", &database.url)
        .env("LISTEN", "127.0.0.1:0")
        .env("LOG_FORMAT", "json")
        .env("LOG_LEVEL", "debug")
        .env("BROADCAST_CONNECTION", "log")
        .stderr(writer);
    ends_with_its_test(&mut command);
    let mut child = command.spawn().unwrap();
    let endpoint = Endpoint::parse(&format!("http://{}", address(&mut log)));
    // More than a pipe takes: each is a line of the log.
    let mut desk = Desk::new(HttpClient::new(endpoint.clone()));
    desk.log_in("admin@tims.local").await;
    let text = "x".repeat(4000);
    for _ in 0..30 {
        desk.write(1, &text).await;
    }
    let request = Request::new("GET", "/up");
    let up = HttpClient::new(endpoint).send(&request).await;
    up.expect_status(200);
    let pid = libc::pid_t::try_from(child.id()).unwrap();
    // SAFETY: kill takes plain numbers; the child is not yet reaped, so the pid is its.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGTERM) }, 0);
    let status = eventually("the process to end", || {
        let status = child.try_wait().unwrap();
        async move { status }
    })
    .await;
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn sighup_is_logged_and_ends_nothing() {
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database).start().await;
    api.signal(libc::SIGHUP);
    eventually("the line of the log", || async {
        let log = api.log();
        let is_it = |line: &String| line.contains("SIGHUP: nothing is reloaded");
        log.iter().any(is_it).then_some(())
    })
    .await;
    api.log_in("admin@tims.local").await;
    assert_eq!(
        api.metrics()
            .await
            .sum("conversation_log_lines_dropped_total", &[]),
        0.0
    );
    api.stop().await;
}

#[tokio::test]
async fn the_driver_log_writes_laravels_file() {
    let database = Database::seeded(Kind::Sqlite).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("logs").join("laravel.log");
    let api = Api::on(&database)
        .set("BROADCAST_CONNECTION", "log")
        .set("LOG_PATH", file.to_str().unwrap())
        .set("APP_ENV", "local")
        .start()
        .await;
    let mut agent = api.log_in("agent@tims.local").await;
    let id = agent.write(1, "On its way.").await;
    api.everything_sent().await;
    let log = std::fs::read_to_string(&file).unwrap();
    let (line, payload) = log.split_once('\n').unwrap();
    // [2026-01-31 23:59:59]
    let (time, event) = line.split_at(22);
    let shape = time.replace(|letter: char| letter.is_ascii_digit(), "0");
    assert_eq!(shape, "[0000-00-00 00:00:00] ");
    let channels = "private-conversation.1, private-department.1";
    assert_eq!(
        event,
        format!("local.INFO: Broadcasting [message.sent] on channels [{channels}] with payload:")
    );
    let payload: Value = serde_json::from_str(payload).unwrap();
    assert_eq!(
        (&payload["id"], &payload["content"]),
        (&json!(id), &json!("On its way."))
    );
    api.stop().await;
}
