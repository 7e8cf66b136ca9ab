//! A server's own life: what it counts, and how it ends.

use std::time::{Duration, Instant};

use protocol_tests::{
    AppConfig, HttpClient, PublishedEvent, Request, Signal, TestServer, eventually, or_skip,
};
use serde_json::json;

use crate::support::upgrade;

#[tokio::test]
async fn connections_channels_and_subscriptions_are_counted_by_app() {
    let builder = TestServer::builder()
        .app(AppConfig::new("10001"))
        .app(AppConfig::new("20002"));
    let server = or_skip!(builder.start().await);
    let gauge = async |name: &str, app: &str| server.metrics().await.sum(name, &[("app", app)]);
    let channels = [server.channel("a-"), server.channel("private-")];
    let mut first = server.connect().await;
    let mut second = server.connect().await;
    for client in [&mut first, &mut second] {
        client.subscribe(&channels[0]).await;
    }
    first.subscribe(&channels[1]).await;
    assert_eq!(gauge("fanfare_connections", "10001").await, 2.0);
    assert_eq!(gauge("fanfare_channels", "10001").await, 2.0);
    assert_eq!(gauge("fanfare_subscriptions", "10001").await, 3.0);
    first.unsubscribe(&channels[1]).await;
    first.ping_fence().await;
    assert_eq!(gauge("fanfare_channels", "10001").await, 1.0);
    assert_eq!(gauge("fanfare_subscriptions", "10001").await, 2.0);
    for name in [
        "fanfare_connections",
        "fanfare_channels",
        "fanfare_subscriptions",
    ] {
        assert_eq!(gauge(name, "20002").await, 0.0);
    }
    server.finish().await;
}

#[tokio::test]
async fn metrics_are_not_on_the_public_listener() {
    let server = TestServer::start().await;
    server
        .request(&Request::new("GET", "/metrics"))
        .await
        .expect_status(404);
    server.finish().await;
}

/// A publish whose body is not yet complete: while it is under way the server cannot end.
struct UnderWay {
    http: HttpClient,
    rest: Vec<u8>,
}

impl UnderWay {
    async fn start(server: &TestServer, channel: &str) -> UnderWay {
        let event = PublishedEvent::new(channel, "last", "made it");
        let request = Request::post(server.app(), "/events")
            .json(event.body())
            .header("Expect", "100-continue");
        let mut http = server.http();
        let endpoint = server.endpoint();
        http.send_raw(&request.encode_head(&endpoint.authority, &endpoint.prefix))
            .await;
        // The server has begun with the request once it asks for the body.
        assert_eq!(http.read_response().await.status, 100);
        let rest = request.encode_body();
        http.send_raw(&rest[..1]).await;
        UnderWay {
            http,
            rest: rest[1..].to_vec(),
        }
    }

    async fn complete(mut self) {
        self.http.send_raw(&self.rest).await;
        self.http.read_response().await.expect_status(200);
    }
}

async fn is_ready(http: &mut HttpClient) -> u16 {
    http.send(&Request::new("GET", "/ready")).await.status
}

async fn wait_until_not_ready(server: &TestServer) {
    eventually("/ready to answer 503", || async {
        let mut http = server.http();
        (is_ready(&mut http).await == 503).then_some(())
    })
    .await;
}

#[tokio::test]
async fn sigterm_and_sigint_drain_the_server_and_end_it_with_exit_code_0() {
    for signal in [Signal::Terminate, Signal::Interrupt] {
        let server = or_skip!(TestServer::builder().own_process().start().await);
        let channel = server.channel("draining-");
        let mut client = server.connect().await;
        client.subscribe(&channel).await;
        assert_eq!(is_ready(&mut server.http()).await, 200);
        let under_way = UnderWay::start(&server, &channel).await;
        server.signal(signal);
        wait_until_not_ready(&server).await;
        // Not by a status: pusher-js would try again after 15 seconds, and not after one.
        let request = upgrade(server.app(), "protocol=7");
        let (_, close) = server.open_refused(&request).await;
        assert_eq!(close.code, Some(4100));
        let up = server.request(&Request::new("GET", "/up")).await;
        up.expect_status(200);
        server.get("/channels", &[]).await;
        let seen = client.ping_fence().await;
        assert!(seen.is_empty(), "{seen:?}");
        under_way.complete().await;
        client.expect_close_code(1001).await;
        server.exited().await.expect_clean();
    }
}

#[tokio::test]
async fn every_connection_is_closed_with_1001_when_the_server_stops() {
    let builder = TestServer::builder().set("server.workers", 4);
    let server = or_skip!(builder.start().await);
    let channel = server.channel("presence-");
    let mut clients = Vec::new();
    for number in 0..40 {
        let mut client = server.connect().await;
        if number % 2 == 0 {
            client
                .subscribe_presence(&channel, &format!("u{number}"), json!({}))
                .await;
        }
        clients.push(client);
    }
    server.signal(Signal::Terminate);
    for client in &mut clients {
        client.expect_close_code(1001).await;
    }
    server.exited().await.expect_clean();
}

#[tokio::test]
async fn clients_that_do_not_answer_their_close_hold_a_restart_up_for_a_moment_only() {
    let builder = TestServer::builder().set("server.close_timeout", 300);
    let server = or_skip!(builder.start().await);
    let mut silent = server.connect().await;
    server.signal(Signal::Terminate);
    let close = silent.socket.read_close().await;
    assert_eq!(close.code, Some(1001));
    let closed = Instant::now();
    server.exited().await.expect_clean();
    // pusher-js comes back after a second, and waits for 15 if nobody is there then. A busy machine takes a while by
    // itself.
    let waited = closed.elapsed();
    assert!(waited < Duration::from_secs(5), "{waited:?}");
}

#[tokio::test]
async fn client_that_neither_reads_nor_answers_does_not_hold_the_end_up() {
    // More than the kernel takes waits for it.
    let app = AppConfig::new("10001").limit("outbox_bytes", 64 << 20);
    let server = or_skip!(TestServer::builder().app(app).start().await);
    let channel = server.channel("stalled-");
    let mut stalled = server.connect().await;
    stalled.subscribe(&channel).await;
    for _ in 0..500 {
        let data = "x".repeat(10_000);
        server
            .publish(PublishedEvent::new(&channel, "large", data))
            .await;
    }
    server.signal(Signal::Terminate);
    server.exited().await.expect_clean();
    drop(stalled);
}

#[tokio::test]
async fn http_is_answered_as_long_as_a_request_is_under_way() {
    let server = or_skip!(TestServer::builder().own_process().start().await);
    let channel = server.channel("draining-");
    let under_way = UnderWay::start(&server, &channel).await;
    server.signal(Signal::Terminate);
    wait_until_not_ready(&server).await;
    for _ in 0..3 {
        server.get("/channels", &[]).await;
    }
    under_way.complete().await;
    server.exited().await.expect_clean();
}

#[tokio::test]
async fn second_signal_ends_the_server_at_once() {
    // Long enough that waiting for them would fail the test.
    let builder = TestServer::builder()
        .set("server.request_timeout", 300)
        .set("server.shutdown_timeout", 300);
    let server = or_skip!(builder.start().await);
    // It does not end, so that the server waits for it.
    let under_way = UnderWay::start(&server, &server.channel("draining-")).await;
    server.signal(Signal::Terminate);
    wait_until_not_ready(&server).await;
    server.signal(Signal::Terminate);
    let exit = server.exited().await;
    let panicked = exit.log.iter().any(|line| line.contains("panicked at"));
    assert!(!panicked, "{:#?}", exit.log);
    drop(under_way);
}

#[tokio::test]
async fn stopped_server_frees_its_address_for_the_next() {
    let server = or_skip!(TestServer::builder().to_be_restarted().start().await);
    let endpoint = server.endpoint().clone();
    let client = server.connect().await;
    let server = server.restart().await;
    assert_eq!(server.endpoint(), &endpoint);
    drop(client);
    let mut client = server.connect().await;
    client.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn bad_configuration_ends_with_exit_code_64_and_one_line() {
    let builder = TestServer::builder().set("server.lisen", "127.0.0.1:0");
    let exit = or_skip!(builder.start_and_exit().await);
    assert_eq!(exit.code, Some(64), "{exit:?}");
    assert_eq!(exit.log.len(), 1, "{exit:?}");
    assert!(exit.log[0].contains("lisen"), "{exit:?}");
    assert!(exit.log[0].contains("fanfare-test.toml"), "{exit:?}");
}
