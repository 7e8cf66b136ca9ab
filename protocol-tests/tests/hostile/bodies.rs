//! Bodies that are far too large, or not what they say they are.

use protocol_tests::{AppConfig, PublishedEvent, Request, TestServer, eventually, or_skip};
use tokio::task::JoinSet;

use crate::support::{assert_unharmed, impatient, resident_memory, statuses_of};

const HUGE: usize = 10 << 20;

fn encode(server: &TestServer, request: &Request) -> Vec<u8> {
    let endpoint = server.endpoint();
    request.encode(&endpoint.authority, &endpoint.prefix)
}

#[tokio::test]
async fn publish_of_10_megabytes_is_413_and_costs_no_memory() {
    let server = or_skip!(TestServer::builder().own_process().start().await);
    let data = "x".repeat(HUGE);
    let event = PublishedEvent::new("public", "x", data);
    let plain = encode(
        &server,
        &Request::post(server.app(), "/events").json(event.body()),
    );
    let chunked = Request::post(server.app(), "/events")
        .json(event.body())
        .chunked(8192);
    let chunked = encode(&server, &chunked);
    let before = resident_memory(&server);
    for bytes in [&plain, &chunked] {
        for _ in 0..18 {
            let mut http = server.http();
            // The answer may come, and the connection end, before all is sent.
            let _ended_early = http.connection().await.try_send(bytes).await;
            http.read_response().await.expect_status(413);
        }
    }
    // Of 360 MB that were sent. Each worker's allocator keeps a few buffers at hand.
    let grown = resident_memory(&server).saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more");
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn many_huge_publishes_at_once_cost_no_memory() {
    let server = or_skip!(TestServer::builder().own_process().start().await);
    let event = PublishedEvent::new("public", "x", "x".repeat(HUGE));
    let request = Request::post(server.app(), "/events")
        .json(event.body())
        .chunked(65_536);
    let bytes = std::sync::Arc::new(encode(&server, &request));
    let before = resident_memory(&server);
    let mut publishers = JoinSet::new();
    for _ in 0..16 {
        let mut http = server.http();
        let bytes = std::sync::Arc::clone(&bytes);
        publishers.spawn(async move {
            let _ended_early = http.connection().await.try_send(&bytes).await;
            http.read_response().await.expect_status(413);
        });
    }
    publishers.join_all().await;
    let grown = resident_memory(&server).saturating_sub(before);
    // Of 160 MB that were sent: each may have read as much as one body may have, and each worker's
    // allocator keeps a few buffers at hand.
    assert!(grown < 64 << 20, "{grown} bytes more");
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn body_that_ends_early_is_refused_and_nothing_is_published() {
    let server = or_skip!(impatient().start().await);
    let channel = server.channel("watched-");
    let mut witness = server.connect().await;
    witness.subscribe(&channel).await;
    let event = PublishedEvent::new(&channel, "x", "y");
    for chunked in [false, true] {
        let request = Request::post(server.app(), "/events").json(event.body());
        let request = if chunked {
            request.chunked(10)
        } else {
            request
        };
        let bytes = encode(&server, &request);
        for missing in [1, 5, 20] {
            let mut connection = server.connection().await;
            connection.send(&bytes[..bytes.len() - missing]).await;
            connection.finish_sending();
            let (answer, _ended) = connection.receive_to_end().await;
            let statuses = statuses_of(&answer);
            assert!(
                statuses.iter().all(|status| (400..500).contains(status)),
                "{statuses:?}"
            );
        }
    }
    witness.expect_nothing().await;
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn more_than_was_announced_is_another_request() {
    let server = or_skip!(impatient().start().await);
    let request = Request::post(server.app(), "/users/nobody/terminate_connections").body("{}");
    let bytes = [encode(&server, &request), b"}}}}\r\n\r\n".to_vec()].concat();
    let mut connection = server.connection().await;
    connection.send(&bytes).await;
    let (answer, _ended) = connection.receive_to_end().await;
    let statuses = statuses_of(&answer);
    assert_eq!(statuses.first(), Some(&200), "{statuses:?}");
    assert!(
        statuses[1..].iter().all(|status| *status == 400),
        "{statuses:?}"
    );
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn body_in_a_hundred_thousand_tiny_chunks_is_read_in_time() {
    let server = TestServer::start().await;
    let channel = server.channel("watched-");
    let mut witness = server.connect().await;
    witness.subscribe(&channel).await;
    let data = "x".repeat(10_000);
    let mut body = PublishedEvent::new(&channel, "x", data.as_str())
        .body()
        .to_string();
    body.push_str(&" ".repeat(100_000));
    let request = Request::post(server.app(), "/events").body(body).chunked(1);
    server.request(&request).await.expect_status(200);
    let event = witness.expect_event_on(&channel, "x").await;
    assert_eq!(event.data_text(), data);
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn huge_body_to_a_path_that_takes_none_is_not_kept() {
    let server = or_skip!(impatient().start().await);
    let before = resident_memory(&server);
    for (method, path) in [
        ("POST", "/nowhere"),
        ("GET", "/up"),
        ("POST", "/up"),
        ("POST", "/apps/unknown/events"),
    ]
    .repeat(2)
    {
        let request = Request::new(method, path).body(vec![b'x'; HUGE]);
        let mut connection = server.connection().await;
        let _ended_early = connection.try_send(&encode(&server, &request)).await;
        let (answer, _ended) = connection.receive_to_end().await;
        let statuses = statuses_of(&answer);
        assert!(statuses.len() <= 1, "{method} {path}: {statuses:?}");
    }
    // Of 80 MB that were sent.
    let grown = resident_memory(&server).saturating_sub(before);
    assert!(grown < 40 << 20, "{grown} bytes more");
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn unsigned_bodies_are_refused_unread() {
    let server = or_skip!(TestServer::builder().own_process().start().await);
    let event = PublishedEvent::new("public", "x", "x".repeat(1_000_000));
    let request = || Request::post(server.app(), "/events").json(event.body());
    let requests = [
        request().without("auth_signature"),
        request().without("body_md5"),
        request().auth_key("another"),
        request().timestamp("1"),
        request().signature(&"0".repeat(64)),
        request().signature(&"0".repeat(64)).chunked(65_536),
    ];
    let before = resident_memory(&server);
    let mut waiting = Vec::new();
    for number in 0..200 {
        let bytes = encode(&server, &requests[number % requests.len()]);
        let mut http = server.http();
        // All but the last byte: whoever waits for the whole body answers nothing.
        let _ended_early = http
            .connection()
            .await
            .try_send(&bytes[..bytes.len() - 1])
            .await;
        waiting.push(http);
    }
    for http in &mut waiting {
        http.read_response().await.expect_status(401);
    }
    let grown = resident_memory(&server).saturating_sub(before);
    // Of 200 MB that were sent.
    assert!(grown < 80 << 20, "{grown} bytes more");
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn signed_bodies_on_their_way_are_bounded_in_all() {
    let app = AppConfig::new("10001").limit("http_body_bytes", 1 << 20);
    let server = or_skip!(
        impatient()
            .app(app)
            .set("server.http_backlog_bytes", 2 << 20)
            // What waits here waits for the test, however busy the machine is.
            .set("server.request_head_timeout", 60)
            .set("server.request_timeout", 60)
            .set("server.keep_alive", 60)
            .start()
            .await
    );
    let padding = " ".repeat(900_000);
    let body = format!(r#"{{"name":"x","channel":"public","data":"y"}}{padding}"#);
    let request = Request::post(server.app(), "/events").body(body);
    let bytes = encode(&server, &request);
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let mut http = server.http();
        http.send_raw(&bytes[..bytes.len() - 1]).await;
        waiting.push(http);
    }
    eventually("both bodies to be waited for", || async {
        let held = server
            .metrics()
            .await
            .sum("fanfare_http_backlog_bytes", &[]);
        (held > 1_800_000.0).then_some(())
    })
    .await;
    let mut http = server.http();
    let _ended_early = http.connection().await.try_send(&bytes).await;
    let response = http.read_response().await.expect_status(503);
    assert_eq!(response.header("retry-after"), Some("1"));
    assert!(response.text().contains("server.http_backlog_bytes"));
    // Small ones come whole, and need no room.
    server
        .publish(PublishedEvent::new("public", "x", "y"))
        .await;
    for http in &mut waiting {
        http.send_raw(&bytes[bytes.len() - 1..]).await;
        http.read_response().await.expect_status(200);
    }
    let mut http = server.http();
    http.send_raw(&bytes).await;
    http.read_response().await.expect_status(200);
    assert_unharmed(&server).await;
    server.finish().await;
}
