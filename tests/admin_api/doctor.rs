//! The doctor, asked over the API.

use protocol_tests::{Request, Response, TestServer, eventually, or_skip, within};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{Admin, locked, logged, reason, start, start_with_reader};

const READ: &str = "read-read-read-read";

async fn ask(admin: &mut Admin, server: &TestServer, body: &Value) -> Response {
    let path = format!("/api/apps/{}/doctor", server.app().id);
    admin.send(Request::new("POST", &path).json(body)).await
}

/// The run once it has ended.
async fn ended(server: &TestServer) -> Value {
    eventually("the end of the run", async || {
        let run = Admin::of(server).get("/api/doctor").await["run"].clone();
        (!run["ended_at"].is_null()).then_some(run)
    })
    .await
}

fn finding<'r>(run: &'r Value, id: &str) -> &'r Value {
    let findings = run["findings"].as_array().unwrap();
    let found = findings.iter().find(|finding| finding["id"] == id);
    found.unwrap_or_else(|| panic!("no {id} in {run:#}"))
}

#[tokio::test]
async fn finds_what_clients_meet() {
    let server = or_skip!(start().await);
    let mut admin = Admin::of(&server);
    assert_eq!(admin.get("/api/doctor").await["run"], Value::Null);
    let url = format!("ws://{}", server.endpoint().authority);
    let body = json!({ "url": url, "origin": "https://shop.example.com" });
    let started = ask(&mut admin, &server, &body)
        .await
        .expect_status(202)
        .json();
    assert_eq!(
        (&started["number"], &started["ended_at"]),
        (&json!(1), &Value::Null)
    );
    let run = ended(&server).await;
    for id in [
        "dns",
        "tcp",
        "http",
        "version",
        "signature",
        "upgrade",
        "origin",
        "private",
        "presence",
    ] {
        assert_eq!(finding(&run, id)["level"], "ok", "{run:#}");
    }
    assert_eq!(
        (&run["url"], &run["app"]),
        (&json!(url), &json!(server.app().id))
    );
    assert_eq!(run["ended_early"], Value::Null);
    assert!(
        run["by"]
            .as_str()
            .unwrap()
            .starts_with("admin.token at 127.0.0.1"),
        "{run}"
    );
    let log = logged(&server, &["the doctor is to look", "the doctor has looked"]).await;
    let looked = log.lines().filter(|line| line.contains("the doctor"));
    assert!(
        looked.clone().count() == 2 && looked.clone().all(|line| line.contains("admin.token")),
        "{log}"
    );
    server.finish().await;
}

#[tokio::test]
async fn says_what_is_wrong_and_what_to_do() {
    let server = or_skip!(start().await);
    let mut admin = Admin::of(&server);
    let url = format!("ws://{}/elsewhere", server.endpoint().authority);
    ask(&mut admin, &server, &json!({ "url": url }))
        .await
        .expect_status(202);
    let run = ended(&server).await;
    let wrong = finding(&run, "path_prefix");
    assert_eq!(
        (&run["level"], &wrong["level"]),
        (&json!("error"), &json!("error"))
    );
    assert!(!wrong["remedy"].as_str().unwrap().is_empty());
    server.finish().await;
}

#[tokio::test]
async fn is_at_one_thing_at_a_time_and_can_be_stopped() {
    let server = or_skip!(start_with_reader(READ).await);
    let (mut admin, mut reader) = (Admin::of(&server), Admin::with(&server, Some(READ)));
    // It takes connections, and answers nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let body = json!({ "url": format!("ws://{}", silent.local_addr().unwrap()) });
    let refused = ask(&mut reader, &server, &body).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    ask(&mut admin, &server, &body).await.expect_status(202);
    let mut connections = Vec::new();
    // One to see whether it is taken, one that asks something.
    for _ in 0..2 {
        connections.push(within("a connection", silent.accept()).await.unwrap());
    }
    let again = ask(&mut admin, &server, &body).await;
    assert_eq!(again.status, 409);
    assert!(reason(&again).contains("admin.token"), "{}", again.text());
    // What was found so far can be seen, by those who only look, too.
    let run = reader.get("/api/doctor").await["run"].clone();
    assert_eq!(finding(&run, "tcp")["level"], "ok");
    reader.refused("DELETE", "/api/doctor", 403).await;
    admin.expect("DELETE", "/api/doctor", 204).await;
    let run = ended(&server).await;
    assert_eq!(run["ended_early"], "it was stopped");
    // Not before: the doctor would have come to an end by itself.
    drop((connections, silent));
    let soon = ask(&mut admin, &server, &body).await;
    assert_eq!(soon.status, 429, "{}", soon.text());
    server.finish().await;
}

#[tokio::test]
async fn connects_to_no_address_that_only_this_machine_should() {
    let server = or_skip!(start().await);
    let mut admin = Admin::of(&server);
    let body = json!({ "url": "ws://169.254.169.254/latest" });
    ask(&mut admin, &server, &body).await.expect_status(202);
    let run = ended(&server).await;
    assert_eq!(finding(&run, "reach")["level"], "error");
    assert!(!run.to_string().contains("\"tcp\""), "{run}");
    server.finish().await;

    let server = locked().set("webhooks.private_addresses", false);
    let server = or_skip!(server.start().await);
    let url = format!("ws://{}", server.endpoint().authority);
    ask(&mut Admin::of(&server), &server, &json!({ "url": url }))
        .await
        .expect_status(202);
    let run = ended(&server).await;
    assert!(
        finding(&run, "reach")["remedy"]
            .as_str()
            .unwrap()
            .contains("private_addresses")
    );
    server.finish().await;
}

#[tokio::test]
async fn takes_addresses_and_origins_only() {
    let server = or_skip!(start().await);
    let mut admin = Admin::of(&server);
    for (body, key) in [
        (json!({ "url": "ftp://a" }), Some("url")),
        (json!({ "url": "wss://u:p@a" }), Some("url")),
        (
            json!({ "url": "ws://a", "origin": "https://a\r\nX: y" }),
            Some("origin"),
        ),
        (json!({ "url": "ws://a", "orign": "x" }), None),
        (json!({}), None),
        (json!([]), None),
    ] {
        let refused = ask(&mut admin, &server, &body).await;
        assert_eq!(refused.status, 400, "{body}: {}", refused.text());
        assert_eq!(refused.json()["key"].as_str(), key, "{body}");
    }
    let long = json!({ "url": format!("ws://a/{}", "x".repeat(10_000)) });
    assert_eq!(ask(&mut admin, &server, &long).await.status, 413);
    assert_eq!(admin.get("/api/doctor").await["run"], Value::Null);
    server.finish().await;
}
