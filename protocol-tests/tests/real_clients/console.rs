//! The console of the admin listener, in headless Chromium, with pusher-js and a server library at work; and its source, before the
//! type checker and the linter.

use std::fs;
use std::time::Duration;

use protocol_tests::{AppConfig, Skipped, TestServer, TestServerBuilder, WebhookConfig, or_skip};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::script::{Interpreter, Script, settings};

const WRITE: &str = "write-write-write-write";
const READ: &str = "read-read-read-read";

/// A browser is started, and goes through everything.
const PATIENCE: Duration = Duration::from_secs(600);

fn server(app: AppConfig) -> TestServerBuilder {
    TestServer::builder()
        .own_process()
        .app(app)
        .set("admin.token", WRITE)
}

/// Runs a program beside the server, and returns the lines that it writes.
async fn run(server: &TestServer, program: &str) -> Vec<String> {
    lines(&[program], Some(given(server))).await
}

/// What a program is given of the server.
fn given(server: &TestServer) -> String {
    let admin = server.admin_endpoint().expect("it has an admin listener");
    let (_, port) = admin.authority.rsplit_once(':').expect("with a port");
    let given = settings(server.app(), &server.endpoint().authority);
    let mut given: Value = serde_json::from_str(&given).expect("JSON");
    given["admin"] = port.into();
    given["token"] = WRITE.into();
    given["read"] = READ.into();
    given.to_string()
}

async fn lines(program: &[&str], given: Option<String>) -> Vec<String> {
    let mut script = Script::start_with(Interpreter::Node, program, given);
    let mut lines = Vec::new();
    let all = async {
        while let Some(line) = script.line().await {
            lines.push(line);
        }
    };
    let in_time = timeout(PATIENCE, all).await.is_ok();
    assert!(in_time, "the program goes on after {lines:?}");
    let ended = script.ended().await;
    assert!(ended.succeeded, "after {lines:?}:\n{}", ended.stderr);
    lines
}

/// A server with an app of the file, whose webhook is nowhere, one of the database, and somebody who may only look.
async fn whole() -> Result<(TestServer, TempDir), Skipped> {
    let directory = tempfile::tempdir().expect("a directory");
    let tokens = directory.path().join("tokens");
    fs::write(&tokens, format!("read {READ} reader\n")).expect("a file");
    // Nobody listens there.
    let webhook = WebhookConfig::new("http://127.0.0.1:9/hooks", &["channel_occupied"]);
    let app = AppConfig::new("10001")
        .set("client_events", true)
        .limit("presence_user_id_length", 128)
        .webhook(webhook);
    let builder = server(app).set("admin.tokens_file", tokens.to_str().expect("UTF-8"));
    let server = builder.start().await?;
    make_app(&server).await;
    Ok((server, directory))
}

#[tokio::test]
async fn each_page_of_the_console_works() {
    let (server, _directory) = or_skip!(whole().await);
    let done = run(&server, "console/pages.mjs").await;
    assert_eq!(done.last().map(String::as_str), Some("accessible"));
    server.finish().await;
}

#[tokio::test]
async fn no_page_of_the_console_jumps_when_its_answers_come() {
    let (server, _directory) = or_skip!(whole().await);
    let program = ["console/pages.mjs", "steady"];
    let done = lines(&program, Some(given(&server))).await;
    assert_eq!(done, ["steady"]);
    server.finish().await;
}

#[tokio::test]
async fn each_form_of_the_console_works() {
    let (server, _directory) = or_skip!(whole().await);
    let done = run(&server, "console/forms.mjs").await;
    assert_eq!(done.last().map(String::as_str), Some("doctor"));
    server.finish().await;
}

#[tokio::test]
async fn a_page_that_is_left_while_answers_are_on_their_way_changes_nothing() {
    let (server, _directory) = or_skip!(whole().await);
    let done = run(&server, "console/left.mjs").await;
    let parts = [
        "left", "half", "broken", "changed", "refused", "chosen", "typed",
    ];
    assert_eq!(done, parts);
    server.finish().await;
}

/// One of the database, whose secret can be shown.
async fn make_app(server: &TestServer) {
    use protocol_tests::{HttpClient, Request};
    let admin = server.admin_endpoint().expect("it has an admin listener");
    let made = json!({ "id": "made", "key": "made-key", "secret": "made-secret" });
    let request = Request::new("POST", "/api/apps").json(&made);
    let request = request.header("Authorization", &format!("Bearer {WRITE}"));
    let answer = HttpClient::new(admin.clone()).send(&request).await;
    answer.expect_status(201);
}

#[tokio::test]
async fn the_console_is_quick_beside_ten_thousand_channels() {
    let app = AppConfig::new("10001")
        .limit("messages_per_second", 100_000)
        .limit("channels_per_connection", 1_000);
    let server = or_skip!(server(app).start().await);
    let times = run(&server, "console/crowd.mjs").await;
    assert_eq!(times.len(), 1, "{times:?}");
    server.finish().await;
}

#[tokio::test]
async fn the_console_finds_each_of_many_apps() {
    let mut server = server(AppConfig::new("10001"));
    for number in 0..1200 {
        server = server.app(AppConfig::new(&format!("z-{number:04}")));
    }
    let server = or_skip!(server.start().await);
    let done = run(&server, "console/many.mjs").await;
    assert_eq!(done, ["found"]);
    server.finish().await;
}

#[tokio::test]
async fn the_doctor_s_page_shows_the_runs_of_a_relay_that_was_restarted() {
    let restarted = server(AppConfig::new("10001")).to_be_restarted();
    let mut server = or_skip!(restarted.start().await);
    let program = &["console/restarted.mjs"];
    let mut script = Script::start_with(Interpreter::Node, program, Some(given(&server)));
    let mut lines = Vec::new();
    while let Some(line) = timeout(PATIENCE, script.line()).await.expect("a line") {
        if line == "restart" {
            server = server.restart().await;
        }
        lines.push(line);
    }
    let ended = script.ended().await;
    assert!(ended.succeeded, "after {lines:?}:\n{}", ended.stderr);
    assert_eq!(lines, ["restart", "restart", "shown"]);
    server.finish().await;
}

#[tokio::test]
async fn the_source_of_the_console_passes_the_type_checker_and_the_linter() {
    lines(&["console/source.mjs"], None).await;
}
