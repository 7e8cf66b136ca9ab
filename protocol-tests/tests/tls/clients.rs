//! What clients do, over TLS.

use protocol_tests::{AppConfig, Close, Event, Opcode, PublishedEvent, Request, or_skip, within};
use rustls::SupportedProtocolVersion;
use serde_json::json;

use crate::server::{self, Certificates, connect, send};
use crate::tunnel::{BOTH, Tunnel, client};

/// The versions, one by one.
const EACH: [&[&SupportedProtocolVersion]; 2] =
    [&[&rustls::version::TLS12], &[&rustls::version::TLS13]];

#[tokio::test]
async fn events_are_published_and_received_over_tls() {
    let (server, certificates) = or_skip!(server::start().await);
    for versions in EACH {
        let config = client(certificates.roots(), versions);
        let tunnel = Tunnel::to(server.tls_authority(), config, "relay.test").await;
        let channel = server.channel("tls");
        let mut subscriber = connect(&server, &tunnel).await;
        subscriber.subscribe(&channel).await;
        for number in 0..200 {
            // From one byte to more than half a record, so that some records hold several events.
            let data = format!("{number}:{}", "x".repeat(number * 47));
            let event = PublishedEvent::new(&channel, "news", data.as_str());
            let request = Request::post(server.app(), "/events").json(event.body());
            send(&tunnel, &request).await.expect_status(200);
            let event = subscriber.expect_event_on(&channel, "news").await;
            assert_eq!(event.data_text(), data);
        }
        subscriber.expect_nothing().await;
    }
    server.finish().await;
}

#[tokio::test]
async fn messages_longer_than_a_record_come_whole() {
    let certificates = Certificates::new();
    certificates.issue("relay", &["relay.test"]);
    let app = AppConfig::new("10001")
        .limit("event_data_bytes", 300_000)
        .limit("message_bytes", 400_000)
        .limit("http_body_bytes", 20_000_000);
    let server = or_skip!(certificates.builder("relay").app(app).start().await);
    for versions in EACH {
        let config = client(certificates.roots(), versions);
        let tunnel = Tunnel::to(server.tls_authority(), config, "relay.test").await;
        let channel = server.channel("private-tls");
        let mut clients = [
            connect(&server, &tunnel).await,
            connect(&server, &tunnel).await,
        ];
        for client in &mut clients {
            client.subscribe(&channel).await;
        }
        let [sender, receiver] = &mut clients;
        let data = "0123456789".repeat(29_000);
        let event = PublishedEvent::new(&channel, "large", data.as_str());
        let request = Request::post(server.app(), "/events").json(event.body());
        send(&tunnel, &request).await.expect_status(200);
        for client in [&mut *sender, &mut *receiver] {
            let event = client.expect_event_on(&channel, "large").await;
            assert_eq!(event.data_text(), data);
        }
        sender
            .send_client_event(&channel, "client-large", json!(data))
            .await;
        let event = receiver.expect_event_on(&channel, "client-large").await;
        assert_eq!(event.data_text(), data);
    }
    server.finish().await;
}

#[tokio::test]
async fn members_of_a_presence_channel_see_each_other_over_tls_and_without() {
    let (server, certificates) = or_skip!(server::start().await);
    let config = client(certificates.roots(), BOTH);
    let tunnel = Tunnel::to(server.tls_authority(), config, "relay.test").await;
    let channel = server.channel("presence-tls");
    let mut over_tls = connect(&server, &tunnel).await;
    let roster = over_tls
        .subscribe_presence(&channel, "1", json!(null))
        .await;
    assert_eq!(roster.ids, ["1"]);
    let mut plain = server.connect().await;
    let roster = plain.subscribe_presence(&channel, "2", json!(null)).await;
    assert_eq!(roster.ids, ["1", "2"]);
    over_tls
        .expect_event_on(&channel, "pusher_internal:member_added")
        .await;
    drop(over_tls);
    plain
        .expect_event_on(&channel, "pusher_internal:member_removed")
        .await;
    server.finish().await;
}

#[tokio::test]
async fn a_client_that_reads_too_slowly_is_closed_with_4100() {
    const OUTBOX: usize = 256 << 10;
    // What the kernel and the tunnel may hold on all sides, generously.
    const UNDER_WAY: usize = 24 << 20;
    const DATA: usize = 10_000;
    let certificates = Certificates::new();
    certificates.issue("relay", &["relay.test"]);
    let app = AppConfig::new("10001").limit("outbox_bytes", OUTBOX as i64);
    let server = certificates
        .builder("relay")
        .app(app)
        .set("server.close_timeout", 600);
    let server = or_skip!(server.start().await);
    let config = client(certificates.roots(), BOTH);
    let tunnel = Tunnel::to(server.tls_authority(), config, "relay.test").await;
    let channel = server.channel("tls");
    let mut slow = connect(&server, &tunnel).await;
    slow.subscribe(&channel).await;
    let mut http = server.http();
    for number in 0..(OUTBOX + UNDER_WAY) / DATA {
        let data = format!("{number}:{}", "x".repeat(DATA));
        let event = PublishedEvent::new(&channel, "large", data.as_str());
        let request = Request::post(server.app(), "/events").json(event.body());
        http.send(&request).await.expect_status(200);
    }
    let mut received = 0;
    let close = within("the close of a slow client", async {
        loop {
            let frame = slow.socket.next().await;
            let frame = frame.unwrap_or_else(|ended| panic!("no close frame: {ended}"));
            if frame.opcode == Opcode::CLOSE {
                return Close::parse(&frame.payload);
            }
            let event = Event::parse(frame.as_text());
            if event.name != "pusher:error" {
                assert!(event.data_text().starts_with(&format!("{received}:")));
                received += 1;
            }
        }
    })
    .await;
    assert_eq!(close.code, Some(4100));
    drop(slow);
    let metrics = server.metrics().await;
    assert_eq!(metrics.sum("fanfare_outbox_overflows_total", &[]), 1.0);
    server.finish().await;
}
