//! Real proxies in front of a relay, set up by what docs/proxies.md says.

use std::time::Duration;

use protocol_tests::subject::Endpoint;
use protocol_tests::{
    Balancer, Connection, Frame, HttpClient, PublishedEvent, Request, Upgrade, WebSocket, or_skip,
};
use tokio::time::{Instant, timeout_at};

use crate::support::{addresses, establish, talkative, upgrade};

/// Longer than nginx and Apache wait for anything to pass unless told otherwise.
const LONGER_THAN_DEFAULTS: Duration = Duration::from_secs(66);

/// Subscribes.
async fn subscribe(socket: &mut WebSocket, channel: &str) {
    let subscribe = format!(r#"{{"event":"pusher:subscribe","data":{{"channel":"{channel}"}}}}"#);
    socket.send(Frame::text(&subscribe)).await;
    let answer = socket.read_text().await;
    assert!(answer.contains("subscription_succeeded"), "{answer}");
}

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
    subscribe(&mut socket, &channel).await;
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

/// Does for so long what a client does to whom nothing is published.
async fn idle(socket: &mut WebSocket, how_long: Duration) {
    let end = Instant::now() + how_long;
    while let Ok(frame) = timeout_at(end, socket.next()).await {
        let frame = frame.expect("nobody has ended the connection");
        let text = String::from_utf8_lossy(&frame.payload);
        assert!(text.contains("pusher:ping"), "{text}");
        socket.send(Frame::text(r#"{"event":"pusher:pong"}"#)).await;
    }
}

#[tokio::test]
async fn idle_clients_stay_connected_for_longer_than_the_proxies_wait_by_default() {
    let server = or_skip!(
        talkative()
            .set("server.path_prefix", "/relay")
            .start()
            .await
    );
    let channel = server.channel("news-");
    let idle_behind = async |language| {
        let proxy = Balancer::documented(language, &server.endpoint().authority).await;
        let connection = Connection::open(proxy.authority()).await;
        let key = &server.app().key;
        let page = Upgrade::new(&format!("/app/{key}?protocol=7&client=js&version=8.4.0"));
        let mut socket = establish(&server, connection, &page).await;
        subscribe(&mut socket, &channel).await;
        idle(&mut socket, LONGER_THAN_DEFAULTS).await;
        (socket, proxy)
    };
    let idled = tokio::join!(
        idle_behind("nginx"),
        idle_behind("haproxy"),
        idle_behind("caddyfile"),
        idle_behind("apache"),
    );
    let mut idled = <[_; 4]>::from(idled);
    server
        .publish(PublishedEvent::new(&channel, "greeting", "hello"))
        .await;
    for (socket, _) in &mut idled {
        let received = socket.read_text().await;
        assert!(received.contains("greeting"), "{received}");
    }
    drop(idled);
    server.finish().await;
}
