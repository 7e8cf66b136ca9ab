//! The configuration file: when it is read again, and what becomes of one that cannot be used.

use std::fs;
use std::io::Write as _;

use protocol_tests::{Request, Signal, TestServer, or_skip};

use crate::support::{expect_delivery, first, logged, second, subscriber, upgrade};

async fn ready(server: &TestServer) -> serde_json::Value {
    let answer = server.request(&Request::new("GET", "/ready")).await;
    answer.expect_status(200).json()
}

#[tokio::test]
async fn a_file_that_has_changed_is_read_without_a_signal() {
    let server = or_skip!(TestServer::builder().app(first()).start().await);
    let channel = server.channel("private-");
    server.write_config(&server.config_with(&[first(), second()]));
    server.reloaded("applied", 0.0).await;
    let mut client = subscriber(&server, &second().app(), &channel).await;
    expect_delivery(&server, &second().app(), &channel, &mut client).await;
    logged(&server, &["read again", r#""added":"20002""#]).await;
    server.finish().await;
}

#[tokio::test]
async fn a_signal_has_it_read_at_once_and_says_so_when_nothing_has_changed() {
    let server = or_skip!(TestServer::builder().app(first()).start().await);
    server.signal(Signal::HangUp);
    server.reloaded("unchanged", 0.0).await;
    logged(&server, &["no app has changed"]).await;
    server.finish().await;
}

#[tokio::test]
async fn a_file_that_is_wrong_changes_nothing_and_says_so() {
    let server = or_skip!(TestServer::builder().app(first()).start().await);
    let channel = server.channel("private-");
    let mut client = subscriber(&server, &first().app(), &channel).await;
    assert_eq!(ready(&server).await, serde_json::json!({"ready": true}));
    let mut text = server.config_with(&[second()]);
    text.push_str("\n[[apps]]\nid = \"x\"\n");
    server.write_config(&text);
    server.reloaded("failed", 0.0).await;
    logged(
        &server,
        &["apps[1].key: missing", "fanfare-test.toml", "holds"],
    )
    .await;
    let note = ready(&server).await["note"].to_string();
    assert!(note.contains("cannot be used"), "{note}");
    assert!(!note.contains("apps[1]"), "it is not for strangers: {note}");
    expect_delivery(&server, &first().app(), &channel, &mut client).await;
    let (error, _) = server.open_refused(&upgrade(&second().app())).await;
    assert_eq!(error.error_code(), Some(4001));
    server.serve_apps(&[first(), second()]).await;
    assert_eq!(ready(&server).await, serde_json::json!({"ready": true}));
    expect_delivery(&server, &first().app(), &channel, &mut client).await;
    server.finish().await;
}

#[tokio::test]
async fn a_file_that_is_removed_or_emptied_changes_nothing() {
    let server = or_skip!(TestServer::builder().app(first()).start().await);
    let channel = server.channel("private-");
    let mut client = subscriber(&server, &first().app(), &channel).await;
    let text = server.config_with(&[first()]);
    fs::remove_file(server.config_file()).unwrap();
    server.reloaded("failed", 0.0).await;
    logged(&server, &["cannot be read", "holds"]).await;
    server.write_config("");
    server.reloaded("failed", 1.0).await;
    logged(&server, &["no app is configured any more"]).await;
    expect_delivery(&server, &first().app(), &channel, &mut client).await;
    server.write_config(&text);
    server.reloaded("unchanged", 0.0).await;
    expect_delivery(&server, &first().app(), &channel, &mut client).await;
    server.finish().await;
}

#[tokio::test]
async fn a_file_that_is_being_written_is_left_alone_until_it_is_whole() {
    let server = or_skip!(TestServer::builder().app(first()).start().await);
    let channel = server.channel("private-");
    let mut client = subscriber(&server, &first().app(), &channel).await;
    let text = server.config_with(&[first(), second()]);
    // Written bit by bit, in its place: every beginning of it is other apps, or none, or wrong.
    let mut file = fs::File::create(server.config_file()).unwrap();
    for part in text.as_bytes().chunks(64) {
        file.write_all(part).unwrap();
        client.ping_fence().await;
    }
    drop(file);
    server.reloaded("applied", 0.0).await;
    assert_eq!(server.reloads("failed").await, 0.0);
    expect_delivery(&server, &first().app(), &channel, &mut client).await;
    server.finish().await;
}

#[tokio::test]
async fn a_file_that_flaps_ends_as_it_is_at_last() {
    let server = or_skip!(TestServer::builder().app(first()).start().await);
    let channel = server.channel("private-");
    let mut client = subscriber(&server, &first().app(), &channel).await;
    let texts = [
        server.config_with(&[first()]),
        "no TOML".to_owned(),
        server.config_with(&[first(), second()]),
    ];
    for round in 0..30 {
        server.write_config(&texts[round % texts.len()]);
        if round % 4 == 0 {
            server.signal(Signal::HangUp);
        }
        client.ping_fence().await;
    }
    protocol_tests::eventually("both apps to be there", || async {
        let request = Request::get(&second().app(), "/channels");
        let answer = server.request(&request).await;
        (answer.status == 200).then_some(())
    })
    .await;
    expect_delivery(&server, &first().app(), &channel, &mut client).await;
    server.finish().await;
}

#[tokio::test]
async fn what_needs_a_restart_is_named_once_and_the_rest_holds() {
    let server = or_skip!(TestServer::builder().app(first()).start().await);
    let more = "\n[webhooks]\nretry_for = 60\n[cluster]\nbacklog_bytes = 1000000\n";
    let text = server.config_with(&[first(), second()]);
    let text = format!("{more}{text}").replace("[server]", "[server]\nworkers = 1");
    server.write_config(&text);
    server.reloaded("applied", 0.0).await;
    let named = ["cluster.backlog_bytes, server.workers, webhooks.retry_for"];
    logged(&server, &named).await;
    server.write_config(&text.replace("20002", "30003"));
    server.reloaded("applied", 1.0).await;
    let lines = server.log();
    let lines = lines
        .iter()
        .filter(|line| line.contains("hold when it is started again"));
    assert_eq!(lines.count(), 1);
    server.finish().await;
}

#[tokio::test]
async fn the_level_of_the_log_holds_at_once() {
    let server = or_skip!(TestServer::builder().app(first()).start().await);
    let text = server.config_with(&[first()]);
    server.write_config(&text.replace(r#"level = "info""#, r#"level = "debug""#));
    server.signal(Signal::HangUp);
    server.reloaded("unchanged", 0.0).await;
    let _client = server.connect().await;
    logged(&server, &["DEBUG", "connected"]).await;
    server.finish().await;
}

#[tokio::test]
async fn development_credentials_are_not_taken_over_where_the_listener_is_to_move() {
    let server = or_skip!(TestServer::builder().app(first()).start().await);
    let known = first().set("secret", "local");
    let text = server.config_with(&[known]);
    let (others, own) = text.split_once("[server]").unwrap();
    let own = own.replace("127.0.0.1:0", "127.0.0.1:1");
    server.write_config(&format!("{others}[server]{own}"));
    server.reloaded("failed", 0.0).await;
    logged(&server, &["development credentials", "server.listen"]).await;
    server.finish().await;
}
