//! What is answered is what HTTP/1.1 is answered.

use std::sync::Arc;

use protocol_tests::{AppConfig, PublishedEvent, Request, Response, or_skip, within};
use serde_json::json;

use super::client::{Client, agree};
use crate::server::{self, Certificates};

/// An answer without what no two have in common, and what is of a connection.
fn comparable(mut answer: Response) -> Response {
    answer.headers.retain(|(name, _)| {
        !["date", "connection", "upgrade", "transfer-encoding"].contains(&name.as_str())
    });
    answer.headers.sort();
    answer
}

#[tokio::test]
async fn whatever_is_asked_is_answered_as_over_http1() {
    let (server, certificates) = or_skip!(server::start().await);
    let client = Client::new(&server, &certificates).await;
    let app = server.app();
    let subscribed = server.channel("presence-http2");
    let mut member = server.connect().await;
    member.subscribe_presence(&subscribed, "1", json!({})).await;
    let event = PublishedEvent::new(&subscribed, "news", "x");
    let event = event.body();
    let fallback = format!("/pusher/app/{}/1/nobody", app.key);
    let page = |request: Request| {
        request
            .header("origin", "https://example.com")
            .header("access-control-request-method", "POST")
    };
    for request in [
        Request::new("GET", "/"),
        Request::new("GET", "/up"),
        Request::new("HEAD", "/up"),
        Request::new("POST", "/up"),
        Request::new("GET", "/ready"),
        Request::new("GET", "/no-such-path"),
        Request::new("GET", "/up?%zz&a=%00"),
        Request::new("OPTIONS", "/apps/10001/events"),
        Request::new("BREW", "/apps/10001/events"),
        Request::post(app, "/events").json(event),
        Request::post(app, "/events").json(&json!({"name": 1})),
        Request::post(app, "/events").body("no JSON"),
        Request::post(app, "/events").json(event).secret("another"),
        Request::post(app, "/events")
            .json(event)
            .without("body_md5"),
        Request::post(app, "/events")
            .json(event)
            .header("origin", "https://example.com"),
        Request::post(app, "/batch_events").json(&json!({"batch": [event.clone()]})),
        Request::post(app, "/events").body(vec![b'x'; 40_000]),
        Request::post(app, "/events"),
        Request::get(app, "/channels").query("filter_by_prefix", "presence-"),
        Request::get(app, &format!("/channels/{subscribed}")).query("info", "user_count"),
        Request::get(app, &format!("/channels/{subscribed}/users")),
        Request::get(app, "/channels/bad%20name"),
        Request::get(app, &format!("/{}", "x".repeat(6000))),
        Request::new("GET", "/apps/no-such-app/channels"),
        page(Request::new(
            "OPTIONS",
            &format!("{fallback}/xhr_streaming"),
        )),
        page(Request::new("OPTIONS", &format!("{fallback}/xhr_send"))),
        page(Request::new("POST", &format!("{fallback}/xhr_send"))).body("[]"),
        Request::new("GET", &format!("{fallback}/xhr_send")),
        Request::new("POST", &format!("{fallback}/xhr")),
        Request::new("GET", &format!("/app/{}?protocol=7", app.key)),
        Request::new("GET", "/app/unknown"),
    ] {
        let expected = comparable(server.request(&request).await);
        let answer = comparable(client.send(&request).await);
        assert_eq!(answer, expected, "{request:?}");
    }
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn a_body_of_unknown_length_is_taken_as_one_in_chunks_is() {
    let (server, certificates) = or_skip!(server::start().await);
    let client = Client::new(&server, &certificates).await;
    let event = PublishedEvent::new("news", "news", "x".repeat(3000).as_str());
    let request = Request::post(server.app(), "/events").json(event.body());
    let expected = server.request(&request.clone().chunked(1000)).await;
    let (response, mut stream) = client.begin(&request, false).await;
    for part in request.body.chunks(1000) {
        stream.send_data(part.to_vec().into(), false).unwrap();
    }
    stream.send_data(bytes::Bytes::new(), true).unwrap();
    let answer = super::client::whole(within("an answer", response).await.unwrap()).await;
    assert_eq!(
        (answer.status, answer.body),
        (expected.status, expected.body)
    );
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn requests_are_limited_as_over_http1() {
    let certificates = Certificates::new();
    certificates.issue("relay", &["relay.test"]);
    let app = AppConfig::new("10001").limit("requests_per_second", 2);
    let server = or_skip!(certificates.builder("relay").app(app).start().await);
    let client = Client::new(&server, &certificates).await;
    let limited = within("a refusal", async {
        loop {
            let answer = client.send(&Request::get(server.app(), "/channels")).await;
            if answer.status == 429 {
                return answer;
            }
        }
    });
    let limited = limited.await;
    assert!(limited.text().contains("requests_per_second"));
    assert_eq!(limited.header("x-ratelimit-limit"), Some("2"));
    assert!(limited.header("retry-after").is_some());
    client.expect_healthy().await;
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn requests_of_an_address_are_limited_however_many_connections_it_has() {
    let certificates = Certificates::new();
    certificates.issue("relay", &["relay.test"]);
    let builder = certificates
        .builder("relay")
        .set("server.trusted_proxies", vec!["127.0.0.1"])
        .set("server.requests_per_address", 2);
    let server = or_skip!(builder.start().await);
    let clients = [
        Client::new(&server, &certificates).await,
        Client::new(&server, &certificates).await,
    ];
    let from = |address| Request::get(server.app(), "/channels").header("x-forwarded-for", address);
    let limited = within("a refusal", async {
        for client in clients.iter().cycle() {
            let answer = client.send(&from("203.0.113.7")).await;
            if answer.status == 429 {
                return answer;
            }
        }
        unreachable!("there is no end")
    });
    let limited = limited.await;
    assert!(limited.text().contains("server.requests_per_address"));
    assert_eq!(limited.header("x-ratelimit-limit"), Some("2"));
    assert!(limited.header("retry-after").is_some());
    let metrics = server.metrics().await;
    let refused = metrics.sum(
        "fanfare_http_requests_limited_total",
        &[("reason", "address")],
    );
    assert_eq!(refused, 1.0);
    clients[0]
        .send(&from("203.0.113.8"))
        .await
        .expect_status(200);
    clients[0].expect_healthy().await;
    drop(clients);
    server.finish().await;
}

#[tokio::test]
async fn a_hundred_publishes_at_once_are_all_delivered() {
    let (server, certificates) = or_skip!(server::start().await);
    let client = Arc::new(Client::new(&server, &certificates).await);
    let channel = server.channel("http2");
    let mut subscriber = server.connect().await;
    subscriber.subscribe(&channel).await;
    let tasks: Vec<_> = (0..100)
        .map(|number| {
            let data = format!("{number}:{}", "x".repeat(5000));
            let event = PublishedEvent::new(&channel, "news", data.as_str());
            let request = Request::post(server.app(), "/events").json(event.body());
            let client = Arc::clone(&client);
            tokio::spawn(async move { client.send(&request).await.expect_status(200) })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    for _ in 0..100 {
        subscriber.expect_event_on(&channel, "news").await;
    }
    drop(client);
    let metrics = server.metrics().await;
    assert_eq!(metrics.sum("fanfare_http2_requests_total", &[]), 100.0);
    server.finish().await;
}

#[tokio::test]
async fn requests_beyond_the_streams_of_a_connection_wait_for_their_turn() {
    let (server, certificates) = or_skip!(server::start().await);
    let client = Arc::new(Client::new(&server, &certificates).await);
    // By its answer, h2 knows how many streams there may be; before, it opens any number.
    client.expect_healthy().await;
    let tasks: Vec<_> = (0..400)
        .map(|_| {
            let client = Arc::clone(&client);
            tokio::spawn(async move { client.expect_healthy().await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn tunnels_are_refused() {
    let (server, certificates) = or_skip!(server::start().await);
    let client = Client::new(&server, &certificates).await;
    let request = http::Request::connect("relay.test:443").body(()).unwrap();
    let mut requests = client.requests.clone().ready().await.unwrap();
    let (response, _stream) = requests.send_request(request, false).unwrap();
    let response = within("an answer", response).await.unwrap();
    super::client::whole(response).await.expect_status(405);
    client.expect_healthy().await;
    drop((client, requests));
    server.finish().await;
}

#[tokio::test]
async fn it_is_agreed_on_with_those_who_offer_it_unless_it_is_turned_off() {
    let certificates = Certificates::new();
    certificates.issue("relay", &["relay.test"]);
    for (is_on, offered, agreed) in [
        (true, &[&b"http/1.1"[..], b"h2"][..], Some(&b"h2"[..])),
        (true, &[b"http/1.1"], Some(b"http/1.1")),
        (true, &[], None),
        (false, &[b"h2", b"http/1.1"], Some(b"http/1.1")),
    ] {
        let builder = certificates.builder("relay").set("tls.http2", is_on);
        let server = or_skip!(builder.start().await);
        let stream = agree(&server, &certificates, offered).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), agreed);
        drop(stream);
        server.finish().await;
    }
}
