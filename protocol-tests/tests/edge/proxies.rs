//! Real proxies in front of a relay, set up by what docs/proxies.md says.

use protocol_tests::subject::Endpoint;
use protocol_tests::{Balancer, Connection, Frame, HttpClient, PublishedEvent, Request, or_skip};

use crate::support::{addresses, establish, talkative, upgrade};

/// A client that lies about its address connects, subscribes, and receives what is published through the same proxy.
async fn passes_on(language: &'static str) {
    let server = talkative()
        .set("server.trusted_proxies", vec!["127.0.0.1"])
        .set("server.path_prefix", "/relay");
    let server = or_skip!(server.start().await);
    let proxy = Balancer::documented(language, &server.endpoint().authority).await;
    // The proxy is trusted, and the client is on the same machine: another address of that tells them apart from each
    // other and from what the client claims.
    let connection = Connection::open_from("127.0.0.9", proxy.authority()).await;
    let lying = upgrade(&server)
        .header("X-Forwarded-For", "6.6.6.6")
        .header("Forwarded", "for=6.6.6.6");
    let mut socket = establish(&server, connection, &lying).await;
    assert_eq!(addresses(&server, "connected", 1).await, ["127.0.0.9"]);
    let channel = server.channel("news-");
    let subscribe = format!(r#"{{"event":"pusher:subscribe","data":{{"channel":"{channel}"}}}}"#);
    socket.send(Frame::text(&subscribe)).await;
    let answer = socket.read_text().await;
    assert!(answer.contains("subscription_succeeded"), "{answer}");
    let mut api = HttpClient::new(Endpoint {
        authority: proxy.authority().to_owned(),
        prefix: "/relay".to_owned(),
    });
    let event = PublishedEvent::new(&channel, "greeting", "hello");
    let request = Request::post(server.app(), "/events").json(event.body());
    api.send(&request).await.expect_status(200);
    let received = socket.read_text().await;
    assert!(received.contains("greeting"), "{received}");
    drop((socket, api));
    drop(proxy);
    server.finish().await;
}

#[tokio::test]
async fn nginx_passes_on_what_is_needed() {
    passes_on("nginx").await;
}

#[tokio::test]
async fn haproxy_passes_on_what_is_needed() {
    passes_on("haproxy").await;
}

#[tokio::test]
async fn caddy_passes_on_what_is_needed() {
    passes_on("caddyfile").await;
}

#[tokio::test]
async fn apache_passes_on_what_is_needed() {
    passes_on("apache").await;
}
