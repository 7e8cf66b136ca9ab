//! Strangers, very many of them: what they cost, and what they keep from those who run the relay.

use std::time::Duration;

use protocol_tests::connection::Connection;
use protocol_tests::http::read_response;
use protocol_tests::metrics::Metrics;
use protocol_tests::{
    HttpClient, PATIENCE, Request, TestServer, Upgrade, WebSocket, eventually, or_skip,
};
use serde_json::json;
use tokio::time::timeout;

use crate::support::{Admin, locked};

/// Who come at the same time, and how often each asks.
const STRANGERS: usize = 100;
const REQUESTS: usize = 50;
/// Bytes that the relay may grow by meanwhile.
const GROWTH: u64 = 32 << 20;

fn resident(server: &TestServer) -> u64 {
    let pid = server.process_id().expect("a process of its own");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kibibytes.unwrap().trim().parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn requests_without_a_token_take_no_memory_and_keep_nobody_out() {
    let server = or_skip!(locked().own_process().start().await);
    let (before, lines) = (resident(&server), server.log().len());
    for (path, status) in [
        ("/api/history", 401),
        ("/api/config", 401),
        ("/console/main.mjs", 200),
        ("/nowhere", 404),
    ] {
        let stranger = async || {
            for _ in 0..REQUESTS {
                let mut http = HttpClient::new(server.admin_endpoint().unwrap().clone());
                let response = http.send(&Request::new("GET", path)).await;
                assert_eq!(response.status, status, "{path}");
            }
        };
        let flood = futures_util::future::join_all((0..STRANGERS).map(|_| stranger()));
        // Whoever has a token gets answers all the while.
        let operator = async {
            for _ in 0..10 {
                let mut admin = Admin::of(&server);
                let answer = timeout(PATIENCE, admin.get("/api/history?last=3")).await;
                answer.expect("an answer beside the flood");
            }
        };
        tokio::join!(flood, operator);
    }
    let grown = resident(&server).saturating_sub(before);
    assert!(grown < GROWTH, "grown by {grown} bytes");
    assert!(server.log().len() < lines + 10, "strangers write no log");
    server.finish().await;
}

/// A listener takes few connections, so that those of strangers end with the answer.
#[tokio::test]
async fn connections_of_strangers_are_not_kept() {
    let server = or_skip!(locked().start().await);
    let admin = &server.admin_endpoint().unwrap().authority;
    for path in ["/api/history", "/console/main.mjs", "/", "/nowhere"] {
        let mut connection = Connection::open(admin).await;
        let request = Request::new("GET", path);
        connection.send(&request.encode(admin, "")).await;
        let response = read_response(&mut connection, "GET").await.unwrap();
        assert_eq!(response.header("connection"), Some("close"), "{path}");
        connection.receive_to_end().await;
    }
    let mut connection = Connection::open(admin).await;
    let bearer = format!("Bearer {}", crate::support::TOKEN);
    for _ in 0..2 {
        let request = Request::new("GET", "/api/whoami").header("Authorization", &bearer);
        connection.send(&request.encode(admin, "")).await;
        let response = read_response(&mut connection, "GET").await.unwrap();
        assert_eq!(response.status, 200);
    }
    drop(connection);
    server.finish().await;
}

/// More who say nothing than there are places.
const SILENT: usize = 300;
/// The head of a request may take five seconds, and whoever sends none is sent away then.
const BEFORE_THEY_MUST: Duration = Duration::from_secs(4);

#[tokio::test]
async fn whoever_says_nothing_gives_way_to_whoever_asks() {
    let server = or_skip!(TestServer::builder().own_process().start().await);
    let admin = server.admin_endpoint().unwrap().clone();
    let mut silent = Vec::new();
    for _ in 0..SILENT {
        silent.push(Connection::open(&admin.authority).await);
    }
    // Sooner than the silent ones are sent away for their silence, however often somebody asks.
    let answers = timeout(BEFORE_THEY_MUST, async {
        for _ in 0..5 {
            let mut http = HttpClient::new(admin.clone());
            let response = http.send(&Request::new("GET", "/metrics")).await;
            response.expect_status(200);
        }
    });
    answers.await.expect("answers beside the silent");
    let metrics = server.metrics().await;
    assert!(metrics.sum("fanfare_admin_displaced_total", &[]) >= 1.0);
    assert!(metrics.sum("fanfare_admin_connections", &[]) <= 128.0);
    drop(silent);
    server.finish().await;
}

#[tokio::test]
async fn a_stream_and_a_request_keep_their_places() {
    let server = or_skip!(locked().own_process().start().await);
    let admin = server.admin_endpoint().unwrap().authority.clone();
    let bearer = format!("Bearer {}", crate::support::TOKEN);
    let request = Upgrade::new("/stream").header("Authorization", &bearer);
    let connection = Connection::open(&admin).await;
    let stream = WebSocket::open(connection, &request.encode(&admin, "")).await;
    let mut stream = stream.unwrap_or_else(|response| panic!("no stream: {}", response.text()));
    let event = json!({"name": "made", "channel": "news", "data": "x"});
    let path = format!("/api/apps/{}/events", server.app().id);
    let request = Request::new("POST", &path).header("Authorization", &bearer);
    let request = request.json(&event).encode(&admin, "");
    let (first, last) = request.split_at(request.len() - 1);
    let mut slow = Connection::open(&admin).await;
    slow.send(first).await;
    // Its head has been read.
    eventually("both to have a place", async || {
        let metrics = Admin::of(&server)
            .send(Request::new("GET", "/metrics"))
            .await;
        let metrics = Metrics::parse(&metrics.text());
        (metrics.sum("fanfare_admin_connections", &[]) >= 3.0).then_some(())
    })
    .await;
    let mut silent = Vec::new();
    for _ in 0..SILENT {
        silent.push(Connection::open(&admin).await);
    }
    Admin::of(&server).get("/api/whoami").await;
    slow.send(last).await;
    let response = read_response(&mut slow, "POST").await.unwrap();
    assert_eq!(response.status, 202, "{}", response.text());
    while !stream.read_text().await.contains("\"made\"") {}
    drop((silent, slow, stream));
    server.finish().await;
}
