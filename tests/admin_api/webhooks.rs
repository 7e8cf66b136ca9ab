//! How webhooks get on, and whether they take a test.

use protocol_tests::{
    Answer, AppConfig, Port, Receiver, Request, TestServer, WebhookConfig, eventually, or_skip,
    sign, within,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Admin, locked, logged, reason, start, start_with_reader};

const READ: &str = "read-read-read-read";

/// An app of the database with a webhook there, `/api/apps/{id}/webhooks`.
async fn hooked(admin: &mut Admin, id: &str, urls: &[String]) -> String {
    let webhook = |url: &String| json!({ "url": url, "events": ["cache_miss"] });
    let webhooks: Vec<Value> = urls.iter().map(webhook).collect();
    let app = json!({ "id": id, "key": id, "secret": "secret-secret", "webhooks": webhooks });
    admin.post("/api/apps", &app).await.expect_status(201);
    format!("/api/apps/{id}/webhooks")
}

async fn test(admin: &mut Admin, path: &str) -> Value {
    let path = format!("{path}/test");
    admin.expect("POST", &path, 200).await.json()
}

/// A listener on a free port, and a secret address there.
async fn endpoint() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hidden?token=x", listener.local_addr().unwrap());
    (listener, url)
}

/// A request that has come to it, head and body.
async fn request(listener: &TcpListener) -> (TcpStream, String, String) {
    let (mut stream, _) = within("a request", listener.accept()).await.unwrap();
    let mut received = Vec::new();
    while !received.ends_with(b"]}") {
        let read = within("the request", stream.read_buf(&mut received)).await;
        assert!(read.unwrap() > 0, "it has an end");
    }
    let text = String::from_utf8(received).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (stream, head.to_lowercase(), body.to_owned())
}

#[tokio::test]
async fn show_what_waits_what_was_sent_and_the_last_failures() {
    let receiver = Receiver::start(&[&AppConfig::new("10001").app()]).await;
    receiver.script(|_| Answer::Status(503));
    let app = AppConfig::new("10001").webhook(receiver.webhook(&["channel_occupied"]));
    let server = or_skip!(locked().app(app).start().await);
    let mut admin = Admin::of(&server);
    let path = format!("/api/apps/{}/webhooks", server.app().id);
    let shown = admin.get(&path).await;
    let fresh = &shown["webhooks"][0];
    assert_eq!(shown["cluster"], false);
    assert_eq!(
        (&fresh["sent"], &fresh["last_taken"]),
        (&json!(0), &Value::Null)
    );
    assert_eq!(fresh["failures"], json!([]));

    let mut client = server.connect().await;
    client.subscribe("room").await;
    let failing = eventually("a failure", async || {
        let mut admin = Admin::of(&server);
        let webhook = admin.get(&path).await["webhooks"][0].clone();
        (webhook["failed"] != 0).then_some(webhook)
    })
    .await;
    assert_eq!(failing["waiting"], 1, "{failing}");
    assert!(failing["waiting_bytes"].as_u64().unwrap() > 0, "{failing}");
    let oldest = failing["failures"].as_array().unwrap().last().unwrap();
    assert_eq!(oldest["kinds"], json!(["channel_occupied"]));
    assert_eq!(
        (&oldest["events"], &oldest["attempt"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(oldest["status"], 503);
    assert!(
        oldest["reason"].as_str().unwrap().contains("503"),
        "{oldest}"
    );
    assert!(
        oldest["retry_at"].as_u64() >= oldest["at"].as_u64(),
        "{oldest}"
    );

    receiver.script(|_| Answer::OK);
    let taken = eventually("a success", async || {
        let mut admin = Admin::of(&server);
        let webhook = admin.get(&path).await["webhooks"][0].clone();
        (webhook["sent"] == 1).then_some(webhook)
    })
    .await;
    assert_eq!(
        (&taken["waiting"], &taken["waiting_bytes"]),
        (&json!(0), &json!(0))
    );
    assert!(
        taken["last_taken"].as_u64() >= oldest["at"].as_u64(),
        "{taken}"
    );
    assert!(
        !taken["failures"].as_array().unwrap().is_empty(),
        "they stay"
    );
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn take_a_signed_test() {
    let server = or_skip!(start().await);
    let mut admin = Admin::of(&server);
    let (listener, url) = endpoint().await;
    let path = hooked(&mut admin, "hooked", std::slice::from_ref(&url)).await;
    let answering = tokio::spawn(async move {
        let (mut stream, head, body) = request(&listener).await;
        let answer = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        (head, body)
    });
    let tests = &test(&mut admin, &path).await["tests"];
    let (head, body) = answering.await.unwrap();
    assert!(head.starts_with("post /hidden?token=x "), "{head}");
    let signature = sign::hmac_sha256_hex("secret-secret", body.as_bytes());
    assert!(head.contains("x-pusher-key: hooked"), "{head}");
    assert!(
        head.contains(&format!("x-pusher-signature: {signature}")),
        "{head}"
    );
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        body["events"],
        json!([{ "name": "test", "channel": "test" }])
    );
    assert_eq!(tests.as_array().unwrap().len(), 1);
    assert_eq!(
        (&tests[0]["taken"], &tests[0]["status"]),
        (&json!(true), &json!(204))
    );
    assert_eq!(tests[0]["error"], Value::Null);
    assert!(tests[0]["took"].as_f64().unwrap() < 10.0);
    assert!(!tests.to_string().contains("hidden"), "{tests}");
    // It is no event of the app's.
    assert_eq!(admin.get(&path).await["webhooks"][0]["sent"], 0);
    server.finish().await;
}

#[tokio::test]
async fn say_in_a_sentence_why_they_take_none() {
    let server = or_skip!(start().await);
    let mut admin = Admin::of(&server);
    let (listener, refusing) = endpoint().await;
    let nobodys = Port::hold();
    let unreachable = format!("http://{}/hidden?token=x", nobodys.address());
    let path = hooked(&mut admin, "hooked", &[refusing.clone(), unreachable]).await;
    let answering = tokio::spawn(async move {
        let (mut stream, ..) = request(&listener).await;
        let answer = b"HTTP/1.1 419 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        stream.write_all(answer).await.unwrap();
    });
    let tests = &test(&mut admin, &path).await["tests"];
    answering.await.unwrap();
    assert_eq!(
        (&tests[0]["taken"], &tests[0]["status"]),
        (&json!(false), &json!(419))
    );
    assert!(
        tests[0]["error"].as_str().unwrap().contains("419"),
        "{tests}"
    );
    assert_eq!(
        (&tests[1]["taken"], &tests[1]["status"]),
        (&json!(false), &Value::Null)
    );
    assert!(
        tests[1]["error"].as_str().unwrap().contains("refused"),
        "{tests}"
    );
    let none = hooked(&mut admin, "none", &[]).await;
    let refusal = admin.refused("POST", &format!("{none}/test"), 409).await;
    assert!(refusal.contains("no webhooks"), "{refusal}");
    for (place, status) in [(3, 404), (0, 400)] {
        let other = format!("{path}/test?webhook={place}");
        admin.refused("POST", &other, status).await;
    }
    server.finish().await;
}

#[tokio::test]
async fn are_waited_for_no_longer_than_they_may_take_and_tested_one_at_a_time() {
    let server = or_skip!(locked().set("webhooks.timeout", 5).start().await);
    let mut admin = Admin::of(&server);
    let (listener, url) = endpoint().await;
    let path = hooked(&mut admin, "hooked", std::slice::from_ref(&url)).await;
    let test = format!("{path}/test");
    let mut other = Admin::of(&server);
    let (first, ()) = tokio::join!(admin.expect("POST", &test, 200), async {
        // It answers a byte at a time, without an end.
        let (mut stream, ..) = request(&listener).await;
        let refusal = other.refused("POST", &test, 409).await;
        assert!(refusal.contains("under way"), "{refusal}");
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n";
        stream.write_all(head).await.unwrap();
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    });
    let tested = &first.json()["tests"][0];
    assert!(tested["took"].as_f64().unwrap() < 20.0, "{tested}");
    // A machine that is too slow to ask so soon has begun another test, which nobody answers.
    let asked_again = async {
        loop {
            let answer = other.send(Request::new("POST", &test)).await;
            if answer.status != 200 {
                break answer.expect_status(429);
            }
        }
    };
    let soon = within("a test to be refused", asked_again).await;
    let wait: u64 = soon.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=2).contains(&wait), "{wait}");
    assert!(reason(&soon).contains("a moment ago"), "{}", soon.text());
    server.finish().await;
}

#[tokio::test]
async fn are_tested_by_those_who_may_change_something_and_that_is_logged() {
    let server = or_skip!(start_with_reader(READ).await);
    let mut reader = Admin::with(&server, Some(READ));
    let path = format!("/api/apps/{}/webhooks", server.app().id);
    reader.get(&path).await;
    reader.refused("POST", &format!("{path}/test"), 403).await;
    let mut admin = Admin::of(&server);
    // Nobody listens there.
    let hooked = hooked(&mut admin, "hooked", &["http://127.0.0.1:9/".to_owned()]).await;
    test(&mut admin, &hooked).await;
    logged(&server, &["/api/apps/hooked/webhooks/test"]).await;
    server.finish().await;
}

#[tokio::test]
async fn of_private_addresses_are_not_reached_where_they_must_not_be() {
    let webhook = WebhookConfig::new("http://localhost.test/", &["cache_miss"]);
    let app = AppConfig::new("10001").webhook(webhook);
    let server = locked().set("webhooks.private_addresses", false).app(app);
    let server: TestServer = or_skip!(server.start().await);
    let mut admin = Admin::of(&server);
    let path = format!("/api/apps/{}/webhooks/test", server.app().id);
    let response = admin.send(Request::new("POST", &path)).await;
    let tested = &response.expect_status(200).json()["tests"][0];
    assert_eq!(tested["taken"], false, "{tested}");
    server.finish().await;
}
