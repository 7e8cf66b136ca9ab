//! The host that a request is for.

use http::header::HOST;
use protocol_tests::{AppConfig, Request, Response, or_skip, within};

use super::client::{Client, whole};
use crate::server::{self, Certificates};

/// Sends a request for this host, whose head has these lines that name one, too.
async fn ask(client: &Client, request: &Request, authority: &str, hosts: &[&str]) -> Response {
    let mut head = http::Request::builder()
        .method(&*request.method)
        .uri(format!("https://{authority}{}", request.target("")));
    for host in hosts {
        head = head.header(HOST, *host);
    }
    let mut requests = client.requests.clone().ready().await.unwrap();
    let sent = requests.send_request(head.body(()).unwrap(), true);
    whole(within("an answer", sent.unwrap().0).await.unwrap()).await
}

#[tokio::test]
async fn it_is_the_authority_that_pages_are_kept_out_by() {
    let certificates = Certificates::new();
    certificates.issue("relay", &["relay.test"]);
    let app = AppConfig::new("local")
        .set("key", "local")
        .set("secret", "local");
    let builder = certificates.builder("relay").app(app);
    let builder = builder.set("server.fallback_timeout", 1);
    let server = or_skip!(builder.start().await);
    let client = Client::new(&server, &certificates).await;
    let fallback = Request::new("POST", "/pusher/app/local/1/session1/xhr?protocol=7");
    for request in [&Request::get(server.app(), "/channels"), &fallback] {
        for foreign in ["evil.example:6001", "127.0.0.1.evil.example"] {
            let answer = ask(&client, request, foreign, &[]).await;
            assert!(answer.expect_status(421).text().contains(foreign));
        }
        let answer = ask(&client, request, "localhost:6001", &["LocalHost:6001"]).await;
        answer.expect_status(200);
    }
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn one_that_is_named_twice_and_not_the_same_is_refused() {
    let (server, certificates) = or_skip!(server::start().await);
    let client = Client::new(&server, &certificates).await;
    let request = Request::new("GET", "/up");
    for (authority, hosts) in [
        ("relay.test", &["localhost"][..]),
        ("localhost", &["relay.test"]),
        ("relay.test", &["relay.test:8443"]),
        ("relay.test", &["relay.test", "localhost"]),
        ("relay.test", &[""]),
        ("relay.test@localhost", &[]),
    ] {
        let answer = ask(&client, &request, authority, hosts).await;
        let text = answer.expect_status(400).text();
        assert!(text.contains(":authority"), "{authority} {hosts:?}: {text}");
    }
    for (authority, hosts) in [
        ("relay.test", &["relay.test"][..]),
        ("relay.test", &["RELAY.test:443"]),
        ("relay.test:443", &["relay.test", "relay.test:"]),
    ] {
        let answer = ask(&client, &request, authority, hosts).await;
        answer.expect_status(200);
    }
    drop(client);
    server.finish().await;
}
