//! How much one address, one app and the process may do.

use std::time::Duration;

use protocol_tests::http::read_response;
use protocol_tests::names::unique;
use protocol_tests::{
    AppConfig, Frame, Opcode, PublishedEvent, Request, Response, Skipped, TestServer,
    TestServerBuilder, Upgrade, WebSocket, eventually, or_skip,
};
use tokio::time::Instant;

use crate::support::{establish, get_up, upgrade};

/// A server that believes this machine about the addresses of clients.
fn behind_proxy() -> TestServerBuilder {
    TestServer::builder().set("server.trusted_proxies", vec!["127.0.0.1"])
}

fn from(upgrade: &Upgrade, address: &str) -> Upgrade {
    upgrade.clone().header("X-Forwarded-For", address)
}

async fn expect_refused(server: &TestServer, upgrade: &Upgrade, key: &str) {
    let (error, close) = server.open_refused(upgrade).await;
    assert_eq!(close.code, Some(4100));
    assert!(error.text.contains(key), "{}", error.text);
}

async fn refused(server: &TestServer, reason: &str) -> f64 {
    let metrics = server.metrics().await;
    metrics.sum("fanfare_connections_refused_total", &[("reason", reason)])
}

/// Waits until a table of addresses has so many entries.
async fn expect_entries(server: &TestServer, table: &str, count: f64) {
    eventually(&format!("{count} entries of {table}"), || async {
        let metrics = server.metrics().await;
        let entries = metrics.sum("fanfare_table_entries", &[("table", table)]);
        (entries == count).then_some(())
    })
    .await;
}

/// Connects as soon as that is allowed again.
async fn recovers(server: &TestServer, upgrade: &Upgrade) {
    eventually("a connection to be allowed again", || async {
        let mut socket = server.open(upgrade).await.ok()?;
        let first = socket.read_text().await;
        first.contains("connection_established").then_some(())
    })
    .await;
}

#[tokio::test]
async fn connections_of_an_address_are_limited_and_those_of_others_are_not() {
    let server = behind_proxy().set("server.connections_per_address", 2);
    let server = or_skip!(server.start().await);
    let plain = upgrade(&server);
    let mut open = Vec::new();
    for address in [
        "203.0.113.7",
        "203.0.113.7",
        "203.0.113.8",
        "2001:db8::1",
        "2001:db8::ff:2",
    ] {
        let connection = server.connection().await;
        open.push(establish(&server, connection, &from(&plain, address)).await);
    }
    let key = "server.connections_per_address";
    for address in ["203.0.113.7", "::ffff:203.0.113.7", "2001:db8::3"] {
        expect_refused(&server, &from(&plain, address), key).await;
    }
    assert_eq!(refused(&server, "address").await, 3.0);
    let _other_network = establish(
        &server,
        server.connection().await,
        &from(&plain, "2001:db8:0:1::1"),
    )
    .await;
    // The first of those of 203.0.113.7 leaves.
    drop(open.remove(0));
    recovers(&server, &from(&plain, "203.0.113.7")).await;
    drop(open);
    server.finish().await;
}

/// Opens a connection beside this one, which goes on answering.
async fn open_beside(server: &TestServer, upgrade: &Upgrade, first: &mut WebSocket) -> WebSocket {
    let answers = async {
        loop {
            let frame = first.read().await.expect("the first connection stays");
            if frame.opcode == Opcode::PING {
                first.send(Frame::new(Opcode::PONG, frame.payload)).await;
            }
        }
    };
    tokio::select! {
        opened = server.open(upgrade) => opened.expect("a WebSocket is opened either way"),
        () = answers => unreachable!("it answers for ever"),
    }
}

/// A server whose sessions may be resumed, and the request for one of this token.
async fn resumable(token: &str) -> Result<(TestServer, Upgrade), Skipped> {
    let server = behind_proxy()
        .set("server.connections_per_address", 2)
        .app(AppConfig::new("10001").set("resume.window", 60));
    let server = server.start().await?;
    let key = &server.app().key;
    let session = Upgrade::new(&format!("/s/{token}/app/{key}?protocol=7&client=tests"));
    Ok((server, session))
}

#[tokio::test]
async fn who_comes_for_a_session_that_answers_is_one_connection_more_of_its_address() {
    let (server, session) = or_skip!(resumable(&unique("session-token-")).await);
    let [session, plain] = [session, upgrade(&server)].map(|it| from(&it, "203.0.113.7"));
    let mut holder = establish(&server, server.connection().await, &session).await;
    let second = establish(&server, server.connection().await, &plain).await;
    for _ in 0..2 {
        let mut beside = open_beside(&server, &session, &mut holder).await;
        let error = beside.read_text().await;
        assert!(
            error.contains("4100") && error.contains("server.connections_per_address"),
            "{error}"
        );
    }
    assert_eq!(refused(&server, "address").await, 2.0);
    drop(second);
    eventually("the second connection to end", || async {
        let open = server.metrics().await.sum("fanfare_connections", &[]);
        (open == 1.0).then_some(())
    })
    .await;
    let mut beside = open_beside(&server, &session, &mut holder).await;
    let established = beside.read_text().await;
    assert!(
        established.contains("connection_established"),
        "{established}"
    );
    server.finish().await;
}

#[tokio::test]
async fn who_comes_for_the_session_of_another_address_is_one_connection_more_of_its_own() {
    let (server, session) = or_skip!(resumable(&unique("session-token-")).await);
    let [home, away] = ["203.0.113.7", "203.0.113.8"].map(|address| from(&session, address));
    let mut holder = server.open(&home).await.expect("it is accepted");
    let established = holder.read_text().await;
    let mut others = Vec::new();
    for _ in 0..2 {
        let plain = from(&upgrade(&server), "203.0.113.8");
        others.push(establish(&server, server.connection().await, &plain).await);
    }
    // The holder does not answer.
    expect_refused(&server, &away, "server.connections_per_address").await;
    let mut again = server.open(&home).await.expect("it is accepted");
    assert_eq!(again.read_text().await, established, "its session waits");
    drop((holder, others));
    server.finish().await;
}

#[tokio::test]
async fn how_many_addresses_are_known_shows_in_the_metrics() {
    let server = behind_proxy()
        .set("server.connections_per_address", 10)
        .set("server.new_connections_per_address", 10)
        .set("server.requests_per_address", 10);
    let server = or_skip!(server.start().await);
    let plain = upgrade(&server);
    let mut open = Vec::new();
    for address in ["203.0.113.7", "203.0.113.7", "203.0.113.8"] {
        let connection = server.connection().await;
        open.push(establish(&server, connection, &from(&plain, address)).await);
    }
    for address in ["203.0.113.7", "203.0.113.8", "203.0.113.9"] {
        let request = Request::get(server.app(), "/channels").header("X-Forwarded-For", address);
        server.request(&request).await.expect_status(200);
    }
    expect_entries(&server, "connections_per_address", 2.0).await;
    expect_entries(&server, "new_connections_per_address", 2.0).await;
    expect_entries(&server, "requests_per_address", 3.0).await;
    drop(open);
    expect_entries(&server, "connections_per_address", 0.0).await;
    expect_entries(&server, "new_connections_per_address", 2.0).await;
    server.finish().await;
}

#[tokio::test]
async fn an_address_may_connect_so_many_times_at_once_and_then_at_a_rate() {
    let server = behind_proxy()
        .set("server.new_connections_per_address", 1)
        .set("server.new_connections_burst", 3);
    let server = or_skip!(server.start().await);
    let plain = upgrade(&server);
    let mut outcomes = Vec::new();
    for _ in 0..20 {
        let mut socket = server
            .open(&from(&plain, "203.0.113.7"))
            .await
            .expect("a WebSocket is opened either way");
        outcomes.push(socket.read_text().await);
    }
    let is_refusal = |text: &&String| text.contains("server.new_connections_per_address");
    let refusals = outcomes.iter().filter(is_refusal).count();
    assert!(
        outcomes[..3]
            .iter()
            .all(|text| text.contains("connection_established"))
    );
    assert!(refusals > 0, "{outcomes:?}");
    assert_eq!(refused(&server, "address_rate").await, refusals as f64);
    let other = from(&plain, "203.0.113.8");
    let _other = establish(&server, server.connection().await, &other).await;
    recovers(&server, &from(&plain, "203.0.113.7")).await;
    server.finish().await;
}

fn number(response: &Response, header: &str) -> u64 {
    let value = response.header(header);
    let value = value.unwrap_or_else(|| panic!("no {header}: {response:?}"));
    value.parse().expect("it is a number")
}

/// Sends a request until it is refused, more than `limit` times at least.
async fn until_limited(server: &TestServer, request: &Request, limit: u64) -> Response {
    let mut http = server.http();
    for sent in 0.. {
        let answer = http.send(request).await;
        if answer.status == 429 {
            assert!(sent >= limit, "{sent} of at least {limit}");
            return answer;
        }
        let answer = answer.expect_status(200);
        assert_eq!(number(&answer, "x-ratelimit-limit"), limit);
        assert!(number(&answer, "x-ratelimit-remaining") < limit);
        assert!(number(&answer, "x-ratelimit-reset") >= 1);
    }
    unreachable!("there is an end")
}

fn expect_limited(answer: &Response, key: &str, limit: u64) {
    assert!(answer.text().contains(key), "{}", answer.text());
    assert_eq!(number(answer, "retry-after"), 1);
    assert_eq!(number(answer, "x-ratelimit-limit"), limit);
    assert_eq!(number(answer, "x-ratelimit-remaining"), 0);
    assert!(number(answer, "x-ratelimit-reset") >= 1);
}

async fn limited(server: &TestServer, reason: &str) -> f64 {
    let metrics = server.metrics().await;
    metrics.sum("fanfare_http_requests_limited_total", &[("reason", reason)])
}

async fn answers_again(server: &TestServer, request: &Request) {
    eventually("requests to be allowed again", || async {
        (server.request(request).await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn requests_of_an_app_are_limited_and_strangers_use_up_nothing() {
    let server = TestServer::builder()
        .app(AppConfig::new("10001").limit("requests_per_second", 2))
        .app(AppConfig::new("20002"));
    let server = or_skip!(server.start().await);
    let event = PublishedEvent::new(&server.channel("news-"), "greeting", "hello");
    let request = Request::post(server.app(), "/events").json(event.body());
    for _ in 0..10 {
        let unsigned = Request::new("POST", "/apps/10001/events");
        server.request(&unsigned).await.expect_status(401);
    }
    let answer = until_limited(&server, &request, 2).await;
    expect_limited(&answer, "requests_per_second", 2);
    assert!(limited(&server, "app").await >= 1.0);
    let metrics = server.metrics().await;
    let labels = [("reason", "rate_limit")];
    assert!(metrics.sum("fanfare_publishes_refused_total", &labels) >= 1.0);
    let other = server.publish_to(server.second_app(), event).await;
    assert_eq!(other, serde_json::json!({}));
    answers_again(&server, &request).await;
    server.finish().await;
}

#[tokio::test]
async fn requests_of_an_address_are_limited_and_health_checks_are_not() {
    let server = behind_proxy().set("server.requests_per_address", 2);
    let server = or_skip!(server.start().await);
    let request = Request::get(server.app(), "/channels").header("X-Forwarded-For", "203.0.113.7");
    let answer = until_limited(&server, &request, 2).await;
    expect_limited(&answer, "server.requests_per_address", 2);
    assert!(limited(&server, "address").await >= 1.0);
    for _ in 0..10 {
        let up = Request::new("GET", "/up").header("X-Forwarded-For", "203.0.113.7");
        server.request(&up).await.expect_status(200);
    }
    let other = Request::get(server.app(), "/channels").header("X-Forwarded-For", "203.0.113.8");
    server.request(&other).await.expect_status(200);
    answers_again(&server, &request).await;
    server.finish().await;
}

#[tokio::test]
async fn nobody_new_is_let_in_when_memory_is_used_up() {
    // Less than the process has with nobody connected.
    let server = TestServer::builder().set("server.memory_bytes", 16 << 20);
    let server = or_skip!(server.start().await);
    let answer = eventually("the relay not to be ready", || async {
        let answer = server.request(&Request::new("GET", "/ready")).await;
        (answer.status == 503).then_some(answer)
    })
    .await;
    assert!(
        answer.text().contains("server.memory_bytes"),
        "{}",
        answer.text()
    );
    expect_refused(&server, &upgrade(&server), "server.memory_bytes").await;
    assert_eq!(refused(&server, "memory").await, 1.0);
    // What publishers send is taken.
    let channel = server.channel("news-");
    server
        .publish(PublishedEvent::new(&channel, "greeting", "hello"))
        .await;
    server.finish().await;
}

#[tokio::test]
async fn who_was_refused_for_want_of_memory_is_let_in_once_it_is_back() {
    let before = or_skip!(TestServer::builder().own_process().start().await);
    let metrics = before.metrics().await;
    let alone = metrics.sum("process_resident_memory_bytes", &[]);
    before.finish().await;
    // For one client that does not read.
    let room = 48 << 20;
    let app = AppConfig::new("10001")
        .limit("event_data_bytes", 500_000)
        .limit("outbox_bytes", 1 << 30);
    let server = TestServer::builder()
        .app(app)
        .set("server.memory_bytes", alone as i64 + room)
        .set("server.write_timeout", 300);
    let server = or_skip!(server.start().await);
    let channel = server.channel("news-");
    let mut stalled = server.connect().await;
    stalled.subscribe(&channel).await;
    let data = "x".repeat(500_000);
    let ready = Request::new("GET", "/ready");
    eventually("memory to be used up", || async {
        let event = PublishedEvent::new(&channel, "large", data.as_str());
        server.publish(event).await;
        (server.request(&ready).await.status == 503).then_some(())
    })
    .await;
    expect_refused(&server, &upgrade(&server), "server.memory_bytes").await;
    drop(stalled);
    recovers(&server, &upgrade(&server)).await;
    server.request(&ready).await.expect_status(200);
    server.finish().await;
}

#[tokio::test]
async fn a_rush_waits_for_its_turn_and_those_who_are_there_do_not() {
    const RUSH: usize = 12;
    let server = TestServer::builder()
        .set("server.workers", 1)
        .set("server.new_connections_per_worker", 4);
    let server = or_skip!(server.start().await);
    let mut there = server.connection().await;
    get_up(&mut there).await.expect_status(200);
    let start = Instant::now();
    let mut rush = Vec::new();
    for _ in 0..RUSH {
        let mut connection = server.connection().await;
        connection
            .send(b"GET /up HTTP/1.1\r\nHost: relay\r\n\r\n")
            .await;
        rush.push(connection);
    }
    get_up(&mut there).await.expect_status(200);
    for connection in &mut rush {
        let answer = read_response(connection, "GET").await;
        answer.expect("nobody is refused").expect_status(200);
    }
    // One at once, and then four a second.
    assert!(start.elapsed() > Duration::from_secs(RUSH as u64 / 4 - 1));
    let metrics = server.metrics().await;
    assert!(metrics.sum("fanfare_connections_paced_total", &[]) >= 1.0);
    drop((there, rush));
    server.finish().await;
}
