//! Real proxies in front of a relay, set up by what docs/proxies.md and README.md say.

use std::time::Duration;

use protocol_tests::balancer::{documented_piece, documented_words, piece_of};
use protocol_tests::subject::Endpoint;
use protocol_tests::{
    Balancer, Connection, Frame, HttpClient, PublishedEvent, Request, TestServer, Upgrade,
    WebSocket, or_skip,
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
    passes_on_by(language, "docs/proxies.md").await;
}

async fn passes_on_by(language: &'static str, page: &str) {
    let server = talkative()
        .set("server.trusted_proxies", vec!["127.0.0.1"])
        .set("server.path_prefix", "/relay");
    let server = or_skip!(server.start().await);
    let piece = piece_of(page, language);
    let piece = piece.replace("127.0.0.1:6001", &server.endpoint().authority);
    let proxy = Balancer::configured(language, &piece).await;
    passes_on_behind(server, proxy).await;
}

async fn passes_on_behind(server: TestServer, proxy: Balancer) {
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
async fn nginx_passes_on_what_is_needed_by_what_the_readme_says() {
    passes_on_by("nginx", "README.md").await;
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

/// The same where proxy and relay meet by a Unix socket, which the words that begin with `socket` name in place of `tcp`.
async fn passes_on_by_a_socket(language: &'static str, tcp: &str, socket: &str) {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let path = folder.path().join("fanfare.sock");
    let path = path.to_str().expect("its name is text");
    let server = talkative()
        .set(
            "server.listen",
            vec!["127.0.0.1:0".to_owned(), format!("unix:{path}")],
        )
        .set("server.socket_mode", "0666")
        .set("server.trusted_proxies", vec!["unix"])
        .set("server.path_prefix", "/relay");
    let server = or_skip!(server.start().await);
    let piece = documented_piece(language);
    assert!(piece.contains(tcp), "{piece}");
    let by_socket = documented_words(|words| words.starts_with(socket))
        .replace("/run/fanfare/fanfare.sock", path);
    let proxy = Balancer::configured(language, &piece.replace(tcp, &by_socket)).await;
    passes_on_behind(server, proxy).await;
}

#[tokio::test]
async fn nginx_passes_on_by_a_unix_socket() {
    let tcp = "proxy_pass http://127.0.0.1:6001;";
    passes_on_by_a_socket("nginx", tcp, "proxy_pass http://unix:").await;
}

#[tokio::test]
async fn haproxy_passes_on_by_a_unix_socket() {
    let tcp = "server relay 127.0.0.1:6001";
    passes_on_by_a_socket("haproxy", tcp, "server relay unix@").await;
}

#[tokio::test]
async fn caddy_passes_on_by_a_unix_socket() {
    passes_on_by_a_socket("caddyfile", "127.0.0.1:6001", "unix//").await;
}

/// A proxy that is set up by `configure`, which is given where the relay demands a header of the PROXY protocol, and
/// answers at the host, says who the client is.
async fn says_who_asks(language: &'static str, host: &str, configure: impl Fn(&str) -> String) {
    let server = talkative()
        .set("server.listen", vec!["127.0.0.1:0", "127.0.0.3:0"])
        .set("server.proxy_protocol", vec!["127.0.0.3:0"])
        .set("server.trusted_proxies", vec!["127.0.0.1"]);
    let server = or_skip!(server.start().await);
    let demanding = listening_at(&server, "127.0.0.3");
    let proxy = Balancer::configured(language, &configure(&demanding)).await;
    let authority = proxy.authority().replace("127.0.0.1", host);
    let connection = Connection::open_from("127.0.0.9", &authority).await;
    let _socket = establish(&server, connection, &upgrade(&server)).await;
    assert_eq!(addresses(&server, "connected", 1).await, ["127.0.0.9"]);
    drop(proxy);
    server.finish().await;
}

/// Where the server listens at this host.
fn listening_at(server: &TestServer, host: &str) -> String {
    let log = server.log();
    let mut lines = log
        .iter()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|line| Some(line["address"].as_str()?.to_owned()));
    let address = lines.find(|address| address.starts_with(host));
    address.expect("the address is logged")
}

#[tokio::test]
async fn haproxy_says_who_asks_by_either_version_of_the_proxy_protocol() {
    for version in ["send-proxy-v2", "send-proxy"] {
        let words =
            documented_words(|words| words.starts_with("server") && words.ends_with(version));
        says_who_asks("haproxy", "127.0.0.1", |relay| {
            let server = words.replace("10.0.0.5:6002", relay);
            format!("backend fanfare\n    mode http\n    {server}\n")
        })
        .await;
    }
}

#[tokio::test]
async fn nginx_says_who_asks_by_the_proxy_protocol() {
    let piece = documented_piece("nginx-stream");
    says_who_asks("nginx-stream", "127.0.0.2", |relay| {
        piece.replace("10.0.0.5:6002", relay)
    })
    .await;
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
