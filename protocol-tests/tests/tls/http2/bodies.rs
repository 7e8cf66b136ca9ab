//! Bodies that are refused, or do not come.

use std::future::poll_fn;

use bytes::Bytes;
use h2::Reason;
use protocol_tests::{AppConfig, PublishedEvent, Request, or_skip, within};
use serde_json::json;

use super::client::{Client, whole};
use crate::server::{self, Certificates};

#[tokio::test]
async fn a_body_that_nobody_reads_is_answered_at_once_and_stopped_and_harms_no_other() {
    let (server, certificates) = or_skip!(server::start().await);
    let client = Client::new(&server, &certificates).await;
    let event = PublishedEvent::new("news", "news", "x".repeat(9000).as_str());
    let good = Request::post(server.app(), "/events").json(event.body());
    let unsigned = Request::new("POST", "/apps/10001/events").body(vec![b'x'; 3_000_000]);
    let announced = unsigned.clone().header("content-length", "3000000");
    let fallback = format!("/pusher/app/{}/1/nobody/xhr_send", server.app().key);
    let of_nobody = Request::new("POST", &fallback).body(vec![b'x'; 3_000_000]);
    // Far more of them than the connection's window could hold.
    for _ in 0..4 {
        for (request, status) in [(&unsigned, 401), (&announced, 413), (&of_nobody, 404)] {
            let (response, mut stream) = client.begin(request, false).await;
            stream
                .send_data(request.body.clone().into(), false)
                .unwrap();
            let response = within("an answer", response).await.unwrap();
            whole(response).await.expect_status(status);
            let reset = within("a reset", poll_fn(|cx| stream.poll_reset(cx)));
            assert_eq!(reset.await.unwrap(), Reason::NO_ERROR);
            client.send(&good).await.expect_status(200);
        }
    }
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn whoever_asks_before_it_sends_its_body_is_answered_first() {
    let (server, certificates) = or_skip!(server::start().await);
    let client = Client::new(&server, &certificates).await;
    let event = PublishedEvent::new("news", "news", "x".repeat(9000).as_str());
    for expects in ["100-continue", "100-Continue"] {
        let request = Request::post(server.app(), "/events").json(event.body());
        let request = request.header("expect", expects);
        let (mut response, mut stream) = client.begin(&request, false).await;
        let first = within("a word", poll_fn(|cx| response.poll_informational(cx)));
        assert_eq!(first.await.unwrap().unwrap().status(), 100);
        stream.send_data(request.body.into(), true).unwrap();
        let response = within("an answer", response).await.unwrap();
        whole(response).await.expect_status(200);
    }
    // What is refused for its head need not be sent.
    let unsigned = Request::new("POST", "/apps/10001/events").header("expect", "100-continue");
    let (mut response, _stream) = client.begin(&unsigned, false).await;
    let first = within("an answer", poll_fn(|cx| response.poll_informational(cx)));
    assert!(first.await.is_none());
    let response = within("an answer", response).await.unwrap();
    whole(response).await.expect_status(401);
    client.expect_healthy().await;
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn large_bodies_come_whole_several_at_a_time() {
    let certificates = Certificates::new();
    certificates.issue("relay", &["relay.test"]);
    let app = AppConfig::new("10001")
        .limit("event_data_bytes", 300_000)
        .limit("http_body_bytes", 20_000_000);
    let server = or_skip!(certificates.builder("relay").app(app).start().await);
    let client = Client::new(&server, &certificates).await;
    let event = PublishedEvent::new("news", "news", "x".repeat(290_000).as_str());
    let batch = vec![event.body(); 8];
    let request = Request::post(server.app(), "/batch_events").json(&json!({"batch": batch}));
    let sent = tokio::join!(
        client.send(&request),
        client.send(&request),
        client.send(&request)
    );
    for answer in [sent.0, sent.1, sent.2] {
        answer.expect_status(200);
    }
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn a_body_that_never_comes_is_ended_and_others_are_not() {
    let certificates = Certificates::new();
    certificates.issue("relay", &["relay.test"]);
    let builder = certificates.builder("relay");
    let server = or_skip!(builder.set("server.request_timeout", 1).start().await);
    let client = Client::new(&server, &certificates).await;
    let request = Request::post(server.app(), "/events").json(&json!({"name": "x"}));
    let (response, mut stream) = client.begin(&request, false).await;
    stream.send_data(Bytes::from_static(b"{"), false).unwrap();
    let error = within("the end", response).await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::CANCEL));
    client.expect_healthy().await;
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn bodies_that_are_on_their_way_are_bounded_in_all() {
    let certificates = Certificates::new();
    certificates.issue("relay", &["relay.test"]);
    let builder = certificates.builder("relay");
    let builder = builder.set("server.http_backlog_bytes", 1 << 20);
    let server = or_skip!(builder.start().await);
    let client = Client::new(&server, &certificates).await;
    let request = Request::post(server.app(), "/events").body(vec![b'x'; 400_000]);
    let request = request.header("content-length", "400000");
    let begin = async || {
        let (response, mut stream) = client.begin(&request, false).await;
        let part = request.body[..20_000].to_vec();
        stream.send_data(part.into(), false).unwrap();
        (response, stream)
    };
    let waiting = [begin().await, begin().await];
    let (response, _stream) = begin().await;
    let response = within("a refusal", response).await.unwrap();
    let refused = whole(response).await.expect_status(503);
    assert!(refused.text().contains("server.http_backlog_bytes"));
    client.expect_healthy().await;
    drop((waiting, client));
    server.finish().await;
}
