//! What the environment of a process sets up.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use protocol_tests::{Secured, TestServer, within};

use crate::program::{command, run};

const EVENT: &str = "Broadcasting [order.shipped] on channels [private-orders.7] with payload:
{
    \"order\": 7,
    \"carrier\": \"by sea\",
    \"socket\": null
}";

#[tokio::test]
async fn the_log_is_seen_where_nobody_listens_to_tracing() {
    let output = run("broadcast", &[]).await;
    assert!(output.status.success());
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        format!("{EVENT}\n")
    );
}

#[tokio::test]
async fn the_log_can_be_laravels_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("storage/logs/laravel.log");
    let variables = [("LOG_PATH", path.to_str().unwrap()), ("APP_ENV", "local")];
    for _ in 0..2 {
        let output = run("broadcast", &variables).await;
        assert!(output.status.success() && output.stderr.is_empty());
    }
    let written = fs::read_to_string(&path).unwrap();
    let lines = format!(" local.INFO: {EVENT}  \n");
    assert_eq!(written.matches(&lines).count(), 2, "{written}");

    let output = run(
        "broadcast",
        &[("LOG_PATH", folder.path().to_str().unwrap())],
    )
    .await;
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(
        error.contains("LOG_PATH") && error.contains("cannot be written"),
        "{error}"
    );
}

#[tokio::test]
async fn a_url_names_the_relay() {
    let server = TestServer::start().await;
    let (app, authority) = (server.app(), &server.endpoint().authority);
    let mut client = server.connect().await;
    client.subscribe("private-orders.7").await;
    let url = format!(
        "http://{}:{}@{authority}/apps/{}",
        app.key, app.secret, app.id
    );
    let variables = [("BROADCAST_CONNECTION", "pusher"), ("PUSHER_URL", &url)];
    let output = run("broadcast", &variables).await;
    assert!(output.status.success(), "{output:?}");
    let event = client
        .expect_event_on("private-orders.7", "order.shipped")
        .await;
    assert_eq!(event.data_text(), r#"{"order":7,"carrier":"by sea"}"#);
    server.finish().await;
}

#[tokio::test]
async fn a_certificate_of_the_relays_own_is_trusted_by_a_variable() {
    let secured = Secured::start().await;
    let app = secured.server.app();
    let mut client = secured.server.connect().await;
    client.subscribe("private-orders.7").await;
    let (key, secret, id) = (&app.key, &app.secret, &app.id);
    let url = format!("https://{key}:{secret}@{}/apps/{id}", secured.authority());
    let variables = [("BROADCAST_CONNECTION", "pusher"), ("PUSHER_URL", &url)];
    let mut program = command("broadcast", &variables);
    let output = program.env("SSL_CERT_FILE", secured.certificate()).output();
    let output = within("the example's end", output).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let event = client
        .expect_event_on("private-orders.7", "order.shipped")
        .await;
    assert_eq!(event.data_text(), r#"{"order":7,"carrier":"by sea"}"#);
    assert_eq!(secured.handshakes().await, 1.0);
    secured.finish().await;
}

#[tokio::test]
async fn a_variable_that_is_no_text_is_named() {
    let broken = OsStr::from_bytes(b"\xff");
    let mut program = command("broadcast", &[]);
    let output = program.env("BROADCAST_CONNECTION", broken).output().await;
    let error = String::from_utf8(output.unwrap().stderr).unwrap();
    assert!(
        error.contains("BROADCAST_CONNECTION") && error.contains("not UTF-8"),
        "{error}"
    );
    // Another's is nobody's business.
    let mut program = command("broadcast", &[]);
    let output = program.env("EDITOR", broken).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
}
