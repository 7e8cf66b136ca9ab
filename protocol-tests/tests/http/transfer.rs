//! How requests and answers travel: bodies in chunks, connections kept alive, bodies asked for before they are sent.

use protocol_tests::{AppConfig, Ended, HttpClient, PublishedEvent, Request, TestServer, or_skip};
use serde_json::json;

use crate::support::{assert_refused, batch, publish, refusal_text, subscriber};

fn encode(server: &TestServer, request: &Request) -> Vec<u8> {
    let endpoint = server.endpoint();
    request.encode(&endpoint.authority, &endpoint.prefix)
}

#[tokio::test]
async fn chunked_bodies_are_read_whole() {
    let server = TestServer::start().await;
    let (mut client, channel) = subscriber(&server, "public-").await;
    let data = "0123456789é".repeat(400);
    let mut http = server.http();
    for size in [1, 2, 7, 1000, 100_000] {
        let event = PublishedEvent::new(&channel, "x", data.as_str());
        let request = publish(server.app(), &event).chunked(size);
        http.send(&request).await.expect_status(200);
        let event = client.expect_event_on(&channel, "x").await;
        assert_eq!(event.data_text(), data, "chunks of {size}");
    }
    let empty = Request::post(server.app(), "/users/nobody/terminate_connections").chunked(1);
    http.send(&empty).await.expect_status(200);
    assert_eq!(http.opened(), 1);
    server.finish().await;
}

#[tokio::test]
async fn one_connection_carries_many_requests() {
    // None of the peers kept a connection: every publish paid for a new one.
    let server = TestServer::start().await;
    let (mut client, channel) = subscriber(&server, "public-").await;
    let mut http = server.http();
    for number in 0..500 {
        let event = PublishedEvent::new(&channel, "x", number.to_string());
        http.send(&publish(server.app(), &event))
            .await
            .expect_status(200);
        let list = Request::get(server.app(), "/channels");
        http.send(&list).await.expect_status(200);
        let event = client.expect_event_on(&channel, "x").await;
        assert_eq!(event.data_text(), number.to_string());
    }
    assert_eq!(http.opened(), 1);
    server.finish().await;
}

#[tokio::test]
async fn connection_survives_every_4xx() {
    let server = TestServer::start().await;
    let app = server.app();
    let event = PublishedEvent::new("public", "x", "y");
    let good = || publish(app, &event);
    let refused = [
        (good().secret("a guess"), 401),
        (good().without("auth_key"), 401),
        (good().timestamp("1"), 401),
        (Request::post(app, "/events").body("nonsense"), 400),
        (publish(app, &PublishedEvent::new("bad name", "x", "")), 400),
        (
            publish(app, &PublishedEvent::new("public", "x", "x".repeat(50_000))),
            413,
        ),
        (batch(app, &vec![event.clone(); 11]), 400),
        (
            Request::new("POST", "/apps/nobody/events")
                .signed(app)
                .json(event.body()),
            404,
        ),
        (Request::post(app, "/nowhere").json(event.body()), 404),
        (Request::post(app, "/channels").json(event.body()), 405),
        (Request::get(app, "/events"), 405),
        (
            Request::get(app, "/channels/a").query("info", "nonsense"),
            400,
        ),
        (good().secret("a guess").chunked(10), 401),
        (
            Request::post(app, "/nowhere")
                .json(event.body())
                .chunked(10),
            404,
        ),
    ];
    let mut http = server.http();
    let mut closed_after = Vec::new();
    for (request, status) in &refused {
        let opened = http.opened();
        http.send(request).await.expect_status(*status);
        http.send(&good()).await.expect_status(200);
        if http.opened() > opened.max(1) {
            closed_after.push(format!("{status} {} {}", request.method, request.path));
        }
    }
    assert!(closed_after.is_empty(), "{closed_after:#?}");
    server.finish().await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order_on_one_connection() {
    let server = TestServer::start().await;
    let (mut client, channel) = subscriber(&server, "public-").await;
    // So that every part of a request is where the relay stops reading for a while.
    for padding in (0..2000).step_by(131) {
        let mut http = server.http();
        let mut bytes = Vec::new();
        let data = |number: usize| format!("{number}{}", "x".repeat(padding));
        for number in 0..30 {
            let event = PublishedEvent::new(&channel, "x", data(number));
            bytes.extend(encode(&server, &publish(server.app(), &event)));
            let nowhere = Request::get(server.app(), &format!("/nowhere/{number}"));
            bytes.extend(encode(&server, &nowhere));
        }
        http.send_raw(&bytes).await;
        for number in 0..30 {
            http.read_response().await.expect_status(200);
            http.read_response().await.expect_status(404);
            let event = client.expect_event_on(&channel, "x").await;
            assert_eq!(event.data_text(), data(number));
        }
        assert_eq!(http.opened(), 1);
    }
    server.finish().await;
}

#[tokio::test]
async fn request_may_arrive_byte_by_byte() {
    let server = TestServer::start().await;
    let (mut client, channel) = subscriber(&server, "public-").await;
    let mut http = server.http();
    for chunked in [false, true] {
        let event = PublishedEvent::new(&channel, "x", "é");
        let request = publish(server.app(), &event);
        let request = if chunked { request.chunked(5) } else { request };
        for byte in encode(&server, &request) {
            http.send_raw(&[byte]).await;
        }
        http.read_response().await.expect_status(200);
        client.expect_event_on(&channel, "x").await;
    }
    server.finish().await;
}

/// Sends a head, and answers with the status that comes before any of the body.
async fn status_before_body(server: &TestServer, http: &mut HttpClient, request: &Request) -> u16 {
    let endpoint = server.endpoint();
    http.send_raw(&request.encode_head(&endpoint.authority, &endpoint.prefix))
        .await;
    http.read_response().await.status
}

#[tokio::test]
async fn expect_100_continue_is_answered_at_once() {
    let server = TestServer::start().await;
    let (mut client, channel) = subscriber(&server, "public-").await;
    let mut http = server.http();
    let event = PublishedEvent::new(&channel, "x", "y".repeat(2000));
    for chunked in [false, true] {
        let request = publish(server.app(), &event).header("Expect", "100-continue");
        let request = if chunked {
            request.chunked(300)
        } else {
            request
        };
        assert_eq!(status_before_body(&server, &mut http, &request).await, 100);
        http.send_raw(&request.encode_body()).await;
        http.read_response().await.expect_status(200);
        client.expect_event_on(&channel, "x").await;
    }
    // curl's case of the token, and a client that does not wait.
    let request = publish(server.app(), &event).header("expect", "100-Continue");
    http.send(&request).await.expect_status(200);
    client.expect_event_on(&channel, "x").await;
    assert_eq!(http.opened(), 1);
    server.finish().await;
}

#[tokio::test]
async fn body_that_is_announced_over_the_limit_is_refused_before_it_comes() {
    let server = TestServer::start().await;
    let request = Request::post(server.app(), "/events")
        .header("Content-Length", "20000000")
        .header("Expect", "100-continue");
    let mut http = server.http();
    let endpoint = server.endpoint();
    http.send_raw(&request.encode_head(&endpoint.authority, &endpoint.prefix))
        .await;
    let mut response = http.read_response().await;
    if response.status == 100 {
        response = http.read_response().await;
    }
    assert_refused(&response, 413, "body");
    server.finish().await;
}

#[tokio::test]
async fn body_over_the_limit_is_413_with_a_text() {
    let server = TestServer::start().await;
    let body = "x".repeat((1 << 20) + 1);
    for path in ["/events", "/batch_events"] {
        for chunks in [None, Some(4096), Some(1 << 20)] {
            let request = Request::post(server.app(), path).body(body.clone());
            let request = match chunks {
                Some(size) => request.chunked(size),
                None => request,
            };
            let mut http = server.http();
            let bytes = encode(&server, &request);
            // The answer may come, and the connection end, before all is sent.
            let connection = http.connection().await;
            let _ended_early = connection.try_send(&bytes).await;
            let response = http.read_response().await;
            assert_refused(&response, 413, "body");
            assert!(
                refusal_text(&response).contains("1048576"),
                "{}",
                refusal_text(&response)
            );
        }
    }
    server.finish().await;
}

#[tokio::test]
async fn body_of_exactly_the_limit_is_read() {
    let server = TestServer::start().await;
    let event = json!({"name": "x", "channel": "public", "data": ""}).to_string();
    let body = format!("{event}{}", " ".repeat((1 << 20) - event.len()));
    assert_eq!(body.len(), 1 << 20);
    for chunks in [None, Some(10_000)] {
        let request = Request::post(server.app(), "/events").body(body.clone());
        let request = match chunks {
            Some(size) => request.chunked(size),
            None => request,
        };
        server.request(&request).await.expect_status(200);
    }
    server.finish().await;
}

#[tokio::test]
async fn limit_of_bodies_is_configurable() {
    let app = AppConfig::new("10001")
        .limit("event_data_bytes", 100)
        .limit("http_body_bytes", 40_000);
    let server = or_skip!(TestServer::builder().app(app).start().await);
    let event = json!({"name": "x", "channel": "public", "data": ""}).to_string();
    for (length, status) in [(40_000, 200), (40_001, 413)] {
        let body = format!("{event}{}", " ".repeat(length - event.len()));
        let request = Request::post(server.app(), "/events").body(body);
        server.request(&request).await.expect_status(status);
    }
    server.finish().await;
}

#[tokio::test]
async fn connection_close_is_honoured() {
    let server = TestServer::start().await;
    let request = Request::get(server.app(), "/channels").header("Connection", "close");
    let mut http = server.http();
    http.send_raw(&encode(&server, &request)).await;
    let (bytes, ended) = http.read_to_end().await;
    assert_eq!(ended, Ended::Eof);
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    assert!(text.to_lowercase().contains("connection: close"), "{text}");
    server.finish().await;
}

#[tokio::test]
async fn http_1_0_is_answered_and_closed() {
    let server = TestServer::start().await;
    let target = Request::get(server.app(), "/channels").target("");
    let mut http = server.http();
    http.send_raw(format!("GET {target} HTTP/1.0\r\n\r\n").as_bytes())
        .await;
    let (bytes, ended) = http.read_to_end().await;
    assert_eq!(ended, Ended::Eof);
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains(" 200 "), "{text}");
    assert!(text.ends_with("{\"channels\":{}}"), "{text}");
    server.finish().await;
}

#[tokio::test]
async fn header_names_are_case_insensitive() {
    let server = TestServer::start().await;
    let (mut client, channel) = subscriber(&server, "public-").await;
    let request = publish(server.app(), &PublishedEvent::new(&channel, "x", ""));
    let target = request.target("");
    let length = request.body.len();
    let mut http = server.http();
    for header in ["content-length", "CONTENT-LENGTH", "cOnTeNt-LeNgTh"] {
        let head = format!("POST {target} HTTP/1.1\r\nhOST: x\r\n{header}:{length}\r\n\r\n");
        http.send_raw(&[head.as_bytes(), &request.body].concat())
            .await;
        http.read_response().await.expect_status(200);
        client.expect_event_on(&channel, "x").await;
    }
    server.finish().await;
}

#[tokio::test]
async fn idle_connection_is_closed_after_keep_alive_and_no_earlier_request_is_lost() {
    let builder = TestServer::builder().set("server.keep_alive", 1);
    let server = or_skip!(builder.start().await);
    let mut http = server.http();
    let request = Request::get(server.app(), "/channels");
    for _ in 0..3 {
        http.send(&request).await.expect_status(200);
    }
    let (rest, ended) = http.read_to_end().await;
    assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
    assert_eq!(ended, Ended::Eof);
    http.send(&request).await.expect_status(200);
    server.finish().await;
}

#[tokio::test]
async fn client_that_ends_its_side_still_gets_the_answer() {
    let server = TestServer::start().await;
    let (mut client, channel) = subscriber(&server, "public-").await;
    let request = publish(server.app(), &PublishedEvent::new(&channel, "x", ""));
    let mut http = server.http();
    http.send_raw(&encode(&server, &request)).await;
    http.connection().await.finish_sending();
    http.read_response().await.expect_status(200);
    client.expect_event_on(&channel, "x").await;
    server.finish().await;
}
