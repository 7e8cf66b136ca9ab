//! The admin listener and `fanfare tail`, seen from outside: the binary, run.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;

use protocol_tests::{
    Close, Connection, Frame, HttpClient, PATIENCE, PublishedEvent, Request, Signal, Skipped,
    TestServer, Upgrade, WebSocket, eventually, or_skip,
};
use serde_json::{Value, json};

/// A server of our own: one that is only known by its URL has no admin listener for us.
async fn start() -> Result<TestServer, Skipped> {
    TestServer::builder().own_process().start().await
}

async fn watch(server: &TestServer, query: &str) -> WebSocket {
    let admin = &server.admin_endpoint().unwrap().authority;
    let request = Upgrade::new(&format!("/stream{query}")).encode(admin, "");
    let connection = Connection::open(admin).await;
    let socket = WebSocket::open(connection, &request).await;
    socket.unwrap_or_else(|response| panic!("no stream: {}", response.text()))
}

async fn next(watcher: &mut WebSocket) -> Value {
    serde_json::from_str(&watcher.read_text().await).unwrap()
}

async fn becomes(server: &TestServer, name: &str, labels: &[(&str, &str)], value: f64) {
    eventually(&format!("{name} {labels:?} to be {value}"), async || {
        (server.metrics().await.sum(name, labels) == value).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_public_listener_shows_nothing_of_it() {
    let server = TestServer::start().await;
    for path in ["/metrics", "/stream"] {
        let response = server.request(&Request::new("GET", path)).await;
        assert_eq!(response.status, 404, "{path}");
    }
    server.finish().await;
}

#[tokio::test]
async fn the_admin_listener_takes_no_clients_and_no_publishes() {
    let server = or_skip!(start().await);
    let mut admin = HttpClient::new(server.admin_endpoint().unwrap().clone());
    let app = server.app();
    let publish = Request::post(app, &format!("/apps/{}/events", app.id)).body("{}");
    assert_eq!(admin.send(&publish).await.status, 404);
    let connect = Request::new("GET", &format!("/app/{}", app.key));
    assert_eq!(admin.send(&connect).await.status, 404);
    assert_eq!(
        admin.send(&Request::new("GET", "/health")).await.status,
        200
    );
    server.finish().await;
}

#[tokio::test]
async fn an_empty_address_turns_it_off() {
    let server = or_skip!(TestServer::builder().set("admin.listen", "").start().await);
    let bound: Vec<Value> = server
        .log()
        .iter()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|line: &Value| line["message"] == "listening")
        .collect();
    assert!(
        bound.iter().all(|line| line["listener"] == "public"),
        "{bound:?}"
    );
    assert_eq!(bound.len(), 1);
    server.finish().await;
}

#[tokio::test]
async fn figures_follow_what_happens() {
    let server = or_skip!(start().await);
    let app = [("app", server.app().id.as_str())];
    let channel = server.channel("private-");
    let mut clients = [server.connect().await, server.connect().await];
    for client in &mut clients {
        client.subscribe(&channel).await;
    }
    let unsubscribed = server.channel("news-");
    for name in [&channel, &unsubscribed] {
        server
            .publish(PublishedEvent::new(name, "made", "data"))
            .await;
    }
    for client in &mut clients {
        client.expect_event("made").await;
    }
    let [mut sender, mut receiver] = clients;
    sender
        .send_client_event(&channel, "client-hello", json!(1))
        .await;
    receiver.expect_event("client-hello").await;
    sender.send_text("no JSON").await;
    sender.expect_error(None).await;

    let expected = [
        ("fanfare_connections", 2.0),
        ("fanfare_channels", 1.0),
        ("fanfare_subscriptions", 2.0),
        ("fanfare_connections_opened_total", 2.0),
        ("fanfare_publishes_total", 2.0),
        ("fanfare_client_events_total", 1.0),
        ("fanfare_messages_received_total", 4.0),
        ("fanfare_protocol_errors_total", 1.0),
        // Two each of connection_established, subscription_succeeded and made; the client
        // event; the error.
        ("fanfare_messages_sent_total", 8.0),
    ];
    // A worker counts a batch once it is written, which the client may see first.
    for (name, value) in expected {
        becomes(&server, name, &app, value).await;
    }
    let metrics = server.metrics().await;
    for (name, value) in expected {
        assert_eq!(metrics.sum(name, &app), value, "{name}");
    }
    assert_eq!(metrics.sum("fanfare_worker_connections", &[]), 2.0);
    assert_eq!(metrics.sum("fanfare_worker_backlog_deliveries", &[]), 0.0);
    assert!(metrics.sum("fanfare_publish_to_write_seconds_count", &[]) >= 1.0);
    assert!(metrics.sum("fanfare_sent_bytes_total", &app) > 8.0 * 20.0);
    let requests = [("route", "events"), ("status", "2xx")];
    becomes(&server, "fanfare_http_requests_total", &requests, 2.0).await;

    sender.socket.send(Frame::close(1000, "")).await;
    drop(receiver);
    server.expect_nothing_left().await;
    becomes(&server, "fanfare_worker_connections", &[], 0.0).await;
    for code in ["1000", "none"] {
        becomes(
            &server,
            "fanfare_closes_total",
            &[app[0], ("code", code)],
            1.0,
        )
        .await;
    }
    let closes = server.metrics().await.sum("fanfare_closes_total", &app);
    assert_eq!(closes, 2.0);
    server.finish().await;
}

#[tokio::test]
async fn the_stream_shows_what_passes() {
    let server = or_skip!(start().await);
    let mut watcher = watch(&server, "").await;
    let app = server.app().id.clone();
    let channel = server.channel("presence-");

    let mut client = server.connect().await;
    let socket_id = client.socket_id.clone();
    let line = next(&mut watcher).await;
    assert_eq!(line["type"], "connect");
    assert_eq!(line["app"], *app);
    assert_eq!(line["socket_id"], *socket_id);

    client.subscribe_presence(&channel, "ada", json!({})).await;
    let line = next(&mut watcher).await;
    assert_eq!(line["type"], "subscribe");
    assert_eq!(line["channel"], *channel);
    assert_eq!(line["user_id"], "ada");

    let data = r#"{"text":"grüße \"ada\""}"#;
    server
        .publish(PublishedEvent::new(&channel, "made", data))
        .await;
    let line = next(&mut watcher).await;
    assert_eq!(line["type"], "publish");
    assert_eq!(line["event"], "made");
    assert_eq!(line["data"], data);

    client
        .send_client_event(&channel, "client-x", json!({"n": 1}))
        .await;
    let line = next(&mut watcher).await;
    assert_eq!(line["type"], "client_event");
    assert_eq!(line["event"], "client-x");
    assert_eq!(line["user_id"], "ada");
    assert_eq!(line["socket_id"], *socket_id);
    assert_eq!(line["data"], r#"{"n":1}"#);

    client.send_text("no JSON").await;
    let line = next(&mut watcher).await;
    assert_eq!(line["type"], "error");
    assert!(!line["message"].as_str().unwrap().is_empty());

    client.unsubscribe(&channel).await;
    let line = next(&mut watcher).await;
    assert_eq!(line["type"], "unsubscribe");
    assert_eq!(line["channel"], *channel);

    client.socket.send(Frame::close(1000, "")).await;
    let line = next(&mut watcher).await;
    assert_eq!(line["type"], "disconnect");
    assert_eq!(line["code"], 1000);
    assert_eq!(line["socket_id"], *socket_id);
    drop(watcher);
    server.finish().await;
}

#[tokio::test]
async fn the_stream_shows_only_what_was_asked_for() {
    let server = or_skip!(start().await);
    let mut watcher = watch(&server, "?channel=a*&event=x").await;
    for (channel, event) in [("b1", "x"), ("a1", "y"), ("a2", "x")] {
        server
            .publish(PublishedEvent::new(channel, event, "data"))
            .await;
    }
    let line = next(&mut watcher).await;
    assert_eq!(
        (&line["channel"], &line["event"]),
        (&json!("a2"), &json!("x"))
    );
    drop(watcher);
    server.finish().await;
}

#[tokio::test]
async fn a_stop_sends_watchers_away() {
    let server = or_skip!(start().await);
    let mut watcher = watch(&server, "").await;
    server.signal(Signal::Terminate);
    let Close { code, reason } = watcher.read_close().await;
    assert_eq!(
        (code, reason.as_str()),
        (Some(1001), "the relay is stopping")
    );
    server.exited().await.expect_clean();
}

/// `fanfare tail`, running. Killed when dropped.
struct Tail {
    child: Child,
    lines: Receiver<String>,
}

impl Tail {
    /// Started, and connected.
    fn start(server: &TestServer, arguments: &[&str]) -> Self {
        let mut child = spawn_tail(server, arguments);
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::sync_channel(1024);
        // Ends with the process, whose drop closes the pipe.
        thread::spawn(move || {
            let _ = stdout
                .lines()
                .try_for_each(|line| sender.send(line.unwrap()));
        });
        Self { child, lines }
    }

    fn next(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line in time")
    }

    fn interrupt(&self) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-INT", &pid]).status();
        assert!(sent.unwrap().success());
    }
}

fn spawn_tail(server: &TestServer, arguments: &[&str]) -> Child {
    let admin = &server.admin_endpoint().unwrap().authority;
    let mut child = Command::new(env!("CARGO_BIN_EXE_fanfare"))
        .args(["tail", "--admin", admin])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut note = String::new();
    let mut stderr = BufReader::new(child.stderr.as_mut().unwrap());
    stderr.read_line(&mut note).unwrap();
    assert!(note.contains("following"), "{note}");
    child
}

async fn exit_code(child: &mut Child) -> Option<i32> {
    let ended = eventually("the end of fanfare tail", || {
        let status = child.try_wait().unwrap();
        async move { status }
    });
    ended.await.code()
}

impl Drop for Tail {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn tail_shows_a_line_each_until_it_is_interrupted() {
    let server = or_skip!(start().await);
    let mut tail = Tail::start(&server, &["--channel", "orders*"]);
    for (channel, data) in [
        ("orders-1", "plain"),
        ("other", "x"),
        ("orders-2", "\x1b[2Jnasty"),
    ] {
        server
            .publish(PublishedEvent::new(channel, "made", data))
            .await;
    }
    let app = &server.app().id;
    let (first, second) = (tail.next(), tail.next());
    let expected = format!("publish       app {app}  orders-1  made  plain");
    assert!(first.ends_with(&expected), "{first}");
    assert!(
        second.ends_with(r"orders-2  made  \u{1b}[2Jnasty"),
        "{second}"
    );

    tail.interrupt();
    assert_eq!(exit_code(&mut tail.child).await, Some(0));
    assert_eq!(
        tail.lines.recv_timeout(PATIENCE),
        Err(RecvTimeoutError::Disconnected)
    );
    drop(tail);
    server.finish().await;
}

#[tokio::test]
async fn tail_gives_the_json_as_it_is() {
    let server = or_skip!(start().await);
    let tail = Tail::start(&server, &["--json", "--event", "made"]);
    server
        .publish(PublishedEvent::new("orders", "made", "data"))
        .await;
    let line: Value = serde_json::from_str(&tail.next()).unwrap();
    assert_eq!(line["type"], "publish");
    assert_eq!(line["channel"], "orders");
    drop(tail);
    server.finish().await;
}

#[tokio::test]
async fn tail_ends_in_peace_when_nobody_reads_on() {
    let server = or_skip!(start().await);
    let mut tail = spawn_tail(&server, &[]);
    drop(tail.stdout.take());
    server
        .publish(PublishedEvent::new("orders", "made", "data"))
        .await;
    assert_eq!(exit_code(&mut tail).await, Some(0));
    server.finish().await;
}
