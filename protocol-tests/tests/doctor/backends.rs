//! Webhooks and Redis that the configuration names.

use protocol_tests::wait::within;
use protocol_tests::{Port, RedisServer, TestServer, or_skip, sign};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::asked::{APP, Doctor};

/// An endpoint that takes one request, answers with a status, and returns what it was sent.
async fn endpoint(listener: TcpListener, status: u16) -> String {
    let (mut stream, _) = within("a request", listener.accept()).await.unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"]}") {
        let mut buffer = [0; 1024];
        let count = within("the request", stream.read(&mut buffer))
            .await
            .unwrap();
        assert!(count > 0, "it has an end");
        request.extend_from_slice(&buffer[..count]);
    }
    let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(answer.as_bytes()).await.unwrap();
    String::from_utf8(request).unwrap()
}

fn with_webhook(url: &str) -> String {
    format!("{APP}[[apps.webhooks]]\nurl = \"{url}\"\nevents = [\"channel_occupied\"]\n")
}

#[tokio::test]
async fn a_webhook_is_sent_a_signed_request_without_events() {
    let server = or_skip!(TestServer::builder().own_process().start().await);
    for (status, level) in [(200, "ok"), (500, "error")] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let configuration = with_webhook(&format!("http://{address}/hook?token=s3cr3t"));
        let url = format!("ws://{}", server.endpoint().authority);
        let doctor = Doctor::of(&url, &configuration);
        let (found, request) = tokio::join!(doctor.ask(), endpoint(listener, status));
        found.expect("webhook", level, &address.to_string());
        found.expect_well_but(&["webhook"]);
        assert!(!format!("{found:?}").contains("s3cr3t"));
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        assert!(body.ends_with("\"events\":[]}"), "{body}");
        let signature = sign::hmac_sha256_hex("secret-10001", body.as_bytes());
        assert!(
            head.to_lowercase()
                .contains(&format!("x-pusher-signature: {signature}")),
            "{head}"
        );
    }
    server.finish().await;
}

#[tokio::test]
async fn a_webhook_that_is_not_there_is_found() {
    let server = or_skip!(TestServer::builder().own_process().start().await);
    let nobodys = Port::hold();
    let address = nobodys.address();
    let url = format!("ws://{}", server.endpoint().authority);
    let found = Doctor::of(&url, &with_webhook(&format!("http://{address}/")))
        .ask()
        .await;
    found.expect_error("webhook", &address.to_string());
    found.expect_well_but(&["webhook"]);
    server.finish().await;
}

#[tokio::test]
async fn names_of_a_container_s_network_are_asked_about_where_they_are_known() {
    let server = or_skip!(TestServer::builder().own_process().start().await);
    let url = format!("ws://{}", server.endpoint().authority);
    let cluster = "[cluster]\ndriver = \"redis\"\nurl = \"redis://redis.invalid\"\n";
    let ingest = "[ingest.laravel_redis]\nenabled = true\napp = \"10001\"\nurl = \"redis://redis.invalid\"\n";
    let database = "[apps_database]\nurl = \"mysql://me:s3cr3t@database.invalid/apps\"\n";
    let configuration = with_webhook("http://shop.invalid/hook");
    let configuration = format!("{cluster}{ingest}{database}{configuration}");
    let doctor = Doctor::of(&url, &configuration).argument("--app");
    let found = doctor.argument("10001").ask().await;
    for id in ["webhook", "redis", "ingest.redis", "apps_database"] {
        found.expect_error(id, "docker compose exec");
    }
    server.finish().await;
}

#[tokio::test]
async fn redis_is_asked_for_its_version_and_missed_where_it_is_away() {
    let server = or_skip!(TestServer::builder().own_process().start().await);
    let mut redis = RedisServer::start_with_password("s3cr3t").await;
    let with = |url: &str| format!("[cluster]\ndriver = \"redis\"\nurl = \"{url}\"\n{APP}");
    let url = format!("ws://{}", server.endpoint().authority);
    let found = Doctor::of(&url, &with(&redis.url())).ask().await;
    assert_ne!(found.of("redis")["level"], "error", "{found:?}");
    found.expect_well_but(&["redis"]);
    let stranger = format!("redis://:wr0ng@{}/0", redis.authority());
    let found = Doctor::of(&url, &with(&stranger)).ask().await;
    found.expect_error("redis", &redis.authority());
    redis.stop().await;
    let found = Doctor::of(&url, &with(&redis.url())).ask().await;
    found.expect_error("redis", "cluster.url");
    assert!(!format!("{found:?}").contains("s3cr3t"));
    server.finish().await;
}
