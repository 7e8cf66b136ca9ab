//! Over the wire: a server on a free port, a plain HTTP/1.1 client and a WebSocket client that
//! shares no code with it.

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::*;
use crate::metrics::Metrics;
use crate::tap::{Kind, MAX_WATCHERS, Tap, TapEvent};

const PATIENCE: Duration = Duration::from_secs(20);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

struct TestServer {
    address: SocketAddr,
    metrics: Metrics,
    tap: Tap,
    handle: ServerHandle,
}

impl TestServer {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (metrics, tap) = (Metrics::new(), Tap::new());
        let state = testing::state(metrics.clone(), tap.clone());
        let listeners = vec![Bound::Tcp(listener)];
        let server = server(listeners, testing::LIMITS, state, Locks::default(), || {}).unwrap();
        let handle = server.handle();
        tokio::spawn(server);
        Self {
            address,
            metrics,
            tap,
            handle,
        }
    }

    async fn request(&self, head: &str) -> Response {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        let request = format!("{head}\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let read = socket.read_to_string(&mut answer);
        timeout(PATIENCE, read).await.unwrap().unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        Response {
            status: head[9..12].parse().unwrap(),
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }

    async fn get(&self, path: &str) -> Response {
        self.request(&format!("GET {path} HTTP/1.1")).await
    }

    async fn stream(&self, query: &str) -> Socket {
        let url = format!("ws://{}/stream{query}", self.address);
        connect_async(url).await.unwrap().0
    }

    /// The status and body with which the handshake is refused.
    async fn refused_stream(
        &self,
        query: &str,
        header: Option<(&'static str, &str)>,
    ) -> (u16, Value) {
        let url = format!("ws://{}/stream{query}", self.address);
        let mut request = url.into_client_request().unwrap();
        if let Some((name, value)) = header {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        match connect_async(request).await {
            Err(tungstenite::Error::Http(response)) => {
                let status = response.status().as_u16();
                let body = response.into_body().unwrap();
                (status, serde_json::from_slice(&body).unwrap())
            }
            other => panic!("not refused: {other:?}"),
        }
    }

    async fn stop(self) {
        self.tap.close();
        timeout(PATIENCE, self.handle.stop(true)).await.unwrap();
    }
}

struct Response {
    status: u16,
    head: String,
    body: String,
}

fn publish<'a>(app: &'a str, channel: &'a str, data: &'a str) -> TapEvent<'a> {
    TapEvent {
        app: Some(app),
        channel: Some(channel),
        event: Some("made"),
        data: Some(data),
        ..TapEvent::new(Kind::Publish)
    }
}

async fn next(socket: &mut Socket) -> Message {
    let message = timeout(PATIENCE, socket.next()).await;
    message
        .expect("a message in time")
        .expect("not the end")
        .unwrap()
}

async fn next_json(socket: &mut Socket) -> Value {
    let message = next(socket).await;
    serde_json::from_str(message.to_text().unwrap()).unwrap()
}

async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "never: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn metrics_are_served_in_the_format_that_is_asked_for() {
    let server = TestServer::start();
    server.metrics.app("10001").connections.set(7);
    let plain = server.get("/metrics").await;
    assert_eq!(plain.status, 200);
    assert!(
        plain
            .body
            .contains("\nfanfare_connections{app=\"10001\"} 7\n")
    );
    assert!(
        plain
            .head
            .contains("content-type: text/plain; version=0.0.4; charset=utf-8")
    );

    // What Prometheus sends.
    let accept = "Accept: application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2";
    let open = server
        .request(&format!("GET /metrics HTTP/1.1\r\n{accept}"))
        .await;
    let expected = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert!(open.head.contains(expected), "{}", open.head);
    assert!(open.body.ends_with("# EOF\n"));
    let samples = |body: &str| -> Vec<String> {
        let lines = body.lines().filter(|line| !line.starts_with('#'));
        // Those of the process are others a moment later.
        let lasting = lines.filter(|line| !line.starts_with("process_"));
        lasting.map(str::to_owned).collect()
    };
    assert_eq!(samples(&open.body), samples(&plain.body));
    assert!(
        plain
            .body
            .contains("# TYPE fanfare_publishes_total counter\n")
    );
    assert!(open.body.contains("# TYPE fanfare_publishes counter\n"));
    server.stop().await;
}

#[tokio::test]
async fn what_is_here_is_listed() {
    let server = TestServer::start();
    let index = server.get("/").await;
    assert_eq!(index.status, 200);
    assert!(
        index
            .head
            .contains("content-type: text/html; charset=utf-8")
    );
    assert!(
        index
            .head
            .contains("content-security-policy: default-src 'none'; script-src 'self'")
    );
    assert!(index.body.starts_with("<!doctype html>"), "{}", index.body);
    let script = server.get("/console/main.mjs").await;
    assert!(script.head.contains("content-type: text/javascript"));
    assert_eq!(server.get("/console/other.mjs").await.status, 404);
    let health = server.get("/health").await;
    assert_eq!(
        (health.status, health.body.as_str()),
        (200, r#"{"status":"ok"}"#)
    );
    let head = server.request("HEAD /health HTTP/1.1").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));

    let missing = server.get("/apps").await;
    assert_eq!(missing.status, 404);
    let body: Value = serde_json::from_str(&missing.body).unwrap();
    assert!(body["error"].as_str().unwrap().contains("/apps"));
    assert_eq!(server.request("DELETE /metrics HTTP/1.1").await.status, 405);
    let plain = server.get("/stream").await;
    assert_eq!(plain.status, 426);
    assert!(plain.body.contains("WebSocket"));
    server.stop().await;
}

#[tokio::test]
async fn pages_of_other_sites_are_kept_out() {
    let server = TestServer::start();
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    let rebound = b"GET /metrics HTTP/1.1\r\nHost: evil.example:9601\r\nConnection: close\r\n\r\n";
    socket.write_all(rebound).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 421 "), "{answer}");
    assert!(!answer.contains("fanfare_"));

    let origin = Some(("Origin", "https://evil.example"));
    let (status, body) = server.refused_stream("", origin).await;
    assert_eq!(status, 403);
    assert!(
        body["error"]
            .as_str()
            .unwrap()
            .contains("https://evil.example")
    );
    assert!(!server.tap.watched());

    let own = format!("ws://{}/stream", server.address);
    let mut own = own.into_client_request().unwrap();
    let origin = format!("http://{}", server.address);
    own.headers_mut().insert("Origin", origin.parse().unwrap());
    assert!(connect_async(own).await.is_ok());
    server.stop().await;
}

#[tokio::test]
async fn a_watcher_sees_what_it_asked_for() {
    let server = TestServer::start();
    let mut all = server.stream("").await;
    let mut some = server.stream("?app=2&channel=private-*&event=m%2A").await;
    server.tap.emit(|| publish("1", "private-a", "one"));
    server.tap.emit(|| publish("2", "news", "two"));
    server.tap.emit(|| publish("2", "private-b", "three"));
    for expected in ["one", "two", "three"] {
        assert_eq!(next_json(&mut all).await["data"], expected);
    }
    let line = next_json(&mut some).await;
    assert_eq!(line["type"], "publish");
    assert_eq!(line["app"], "2");
    assert_eq!(line["channel"], "private-b");
    assert_eq!(line["event"], "made");
    assert_eq!(line["data"], "three");
    server.stop().await;
}

#[tokio::test]
async fn a_wrong_filter_is_refused_by_name() {
    let server = TestServer::start();
    let (status, body) = server.refused_stream("?chanel=news", None).await;
    assert_eq!(status, 400);
    let error = body["error"].as_str().unwrap();
    assert!(
        error.contains("chanel") && error.contains("channel"),
        "{error}"
    );
    assert_eq!(server.refused_stream("?channel=", None).await.0, 400);
    assert!(!server.tap.watched());
    server.stop().await;
}

#[tokio::test]
async fn watchers_are_few() {
    let server = TestServer::start();
    let mut watchers = Vec::new();
    for _ in 0..MAX_WATCHERS {
        watchers.push(server.stream("").await);
    }
    let (status, body) = server.refused_stream("", None).await;
    assert_eq!(status, 503);
    assert!(body["error"].as_str().unwrap().contains("watchers"));
    watchers.clear();
    eventually("the tap is unwatched", async || !server.tap.watched()).await;
    server.stream("").await;
    server.stop().await;
}

#[tokio::test]
async fn pings_are_answered_and_a_close_is_returned() {
    let server = TestServer::start();
    let mut socket = server.stream("").await;
    socket.send(Message::Ping("abc".into())).await.unwrap();
    assert_eq!(next(&mut socket).await, Message::Pong("abc".into()));
    socket
        .send(Message::text("has nothing to send"))
        .await
        .unwrap();
    socket.close(None).await.unwrap();
    assert!(matches!(next(&mut socket).await, Message::Close(_)));
    let end = timeout(PATIENCE, socket.next()).await.unwrap();
    assert!(end.is_none(), "{end:?}");
    eventually("the tap is unwatched", async || !server.tap.watched()).await;
    server.stop().await;
}

#[tokio::test]
async fn an_invalid_frame_ends_the_stream() {
    let server = TestServer::start();
    let socket = server.stream("").await;
    let MaybeTlsStream::Plain(mut raw) = socket.into_inner() else {
        panic!("no TLS here");
    };
    // A text frame without the mask that clients have to apply.
    raw.write_all(b"\x81\x02hi").await.unwrap();
    let mut rest = Vec::new();
    let read = raw.read_to_end(&mut rest);
    timeout(PATIENCE, read).await.unwrap().unwrap();
    assert_eq!(rest[..4], [0x88, rest[1], 0x03, 0xea], "close 1002");
    assert!(!server.tap.watched());
    server.stop().await;
}

#[tokio::test]
async fn a_watcher_that_goes_without_a_word_is_forgotten() {
    let server = TestServer::start();
    let socket = server.stream("").await;
    assert!(server.tap.watched());
    drop(socket);
    eventually("the tap is unwatched", async || !server.tap.watched()).await;
    server.stop().await;
}

#[tokio::test]
async fn a_watcher_that_takes_nothing_is_dropped() {
    let server = TestServer::start();
    let stalled = server.stream("").await;
    let data = "x".repeat(4 * 1024);
    eventually("the stalled watcher is dropped", async || {
        for _ in 0..100 {
            server.tap.emit(|| publish("1", "news", &data));
        }
        !server.tap.watched()
    })
    .await;
    drop(stalled);
    server.stop().await;
}

#[tokio::test]
async fn closing_the_tap_sends_watchers_away() {
    let server = TestServer::start();
    let mut socket = server.stream("").await;
    server.tap.close();
    let Message::Close(Some(reason)) = next(&mut socket).await else {
        panic!("not a close with a reason");
    };
    assert_eq!(u16::from(reason.code), 1001);
    assert_eq!(reason.reason, "the relay is stopping");
    assert_eq!(server.refused_stream("", None).await.0, 503);
    server.stop().await;
}

#[tokio::test]
async fn a_request_head_that_never_ends_is_cut_off() {
    let server = TestServer::start();
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    socket.write_all(b"GET /metrics HTT").await.unwrap();
    let mut answer = Vec::new();
    let read = socket.read_to_end(&mut answer);
    timeout(PATIENCE, read).await.unwrap().unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 408 "), "{answer:?}");
    server.stop().await;
}
