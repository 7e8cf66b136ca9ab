//! WebSocket clients that send, or answer, as slowly as they can.

use std::time::Duration;

use protocol_tests::{
    AppConfig, Close, Event, Frame, Opcode, PublishedEvent, TestServer, Upgrade, WsClient, or_skip,
};
use serde_json::json;
use tokio::time::{Instant, timeout};

use crate::support::{assert_soon, assert_unharmed, impatient};

/// Sends a part now and then, until the server closes; returns how.
async fn closed_while_sending(
    client: &mut WsClient,
    parts: impl IntoIterator<Item = Vec<u8>>,
) -> Close {
    let started = Instant::now();
    for part in parts {
        assert_soon(started);
        if client.socket.connection().try_send(&part).await.is_err() {
            break;
        }
        // Not to wait for something: this is how fast the client is.
        if let Ok(frame) = timeout(Duration::from_millis(100), client.socket.next()).await {
            match frame {
                Ok(frame) if frame.opcode == Opcode::CLOSE => return Close::parse(&frame.payload),
                Ok(_) => {}
                Err(ended) => panic!("no close frame: {ended}"),
            }
        }
    }
    client.socket.read_close().await
}

fn assert_has_reason(close: &Close) {
    assert!(close.code.is_some(), "{close:?}");
    assert!(!close.reason.is_empty(), "{close:?}");
}

#[tokio::test]
async fn frame_that_trickles_in_is_closed_at_the_message_timeout() {
    let server = or_skip!(impatient().start().await);
    let message = json!({"event": "pusher:ping", "data": "x".repeat(5000)}).to_string();
    let bytes = Frame::text(&message).encode();
    // In the payload, in the extended length and in the first two bytes.
    for stalled_after in [100, 3, 1] {
        let mut client = server.connect().await;
        client.socket.send_bytes(&bytes[..stalled_after]).await;
        let rest = match stalled_after {
            100 => bytes[100..].to_vec(),
            _ => Vec::new(),
        };
        let close =
            closed_while_sending(&mut client, rest.into_iter().map(|byte| vec![byte])).await;
        assert_has_reason(&close);
    }
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn message_that_never_ends_is_closed_at_the_message_timeout() {
    let server = or_skip!(impatient().start().await);
    let first = Frame::new(Opcode::TEXT, *b"{").unfinished();
    let more = Frame::new(Opcode::CONTINUATION, *b" ").unfinished();
    let mut client = server.connect().await;
    client.socket.send(first.clone()).await;
    let close = closed_while_sending(&mut client, std::iter::repeat(more.encode())).await;
    assert_has_reason(&close);
    // Whole frames between the fragments do not make it any better.
    let mut client = server.connect().await;
    client.socket.send(first).await;
    let ping = Frame::new(Opcode::PING, *b"still here").encode();
    let close = closed_while_sending(&mut client, std::iter::repeat(ping)).await;
    assert_has_reason(&close);
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn client_that_ignores_its_close_is_dropped() {
    let server = or_skip!(impatient().start().await);
    let started = Instant::now();
    let mut client = server.connect().await;
    client.socket.send(Frame::new(Opcode::BINARY, *b"x")).await;
    assert_eq!(client.socket.read_close().await.code, Some(1003));
    client.socket.expect_end().await;
    // The same after a refusal.
    let mut socket = server
        .open(&Upgrade::new("/app/unknown?protocol=7"))
        .await
        .expect("refusals are made by close codes");
    let error = Event::parse(&socket.read_text().await);
    assert_eq!(error.error_code(), Some(4001));
    assert_eq!(socket.read_close().await.code, Some(4001));
    socket.expect_end().await;
    assert_soon(started);
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn client_that_ignores_its_close_and_goes_on_sending_is_dropped() {
    let server = or_skip!(impatient().start().await);
    let mut client = server.connect().await;
    client.socket.send(Frame::new(Opcode::BINARY, *b"x")).await;
    assert_eq!(client.socket.read_close().await.code, Some(1003));
    let started = Instant::now();
    let ping = Frame::text(r#"{"event":"pusher:ping"}"#);
    while client.socket.try_send(ping.clone()).await.is_ok() {
        assert_soon(started);
        tokio::task::yield_now().await;
    }
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn client_that_reads_nothing_is_ended_whatever_it_sends() {
    const EVENT: usize = 200_000;
    // More than the kernel holds of a connection, and less than may wait.
    const EVENTS: usize = 80;
    let app = AppConfig::new("10001")
        .limit("event_data_bytes", EVENT as i64)
        .limit("outbox_bytes", 2 * (EVENTS * EVENT) as i64);
    let server = or_skip!(impatient().app(app).start().await);
    let channel = server.channel("parked-");
    let mut parked = server.connect().await;
    parked.subscribe(&channel).await;
    for _ in 0..EVENTS {
        let event = PublishedEvent::new(&channel, "large", "x".repeat(EVENT));
        server.publish(event).await;
    }
    let started = Instant::now();
    let pong = Frame::new(Opcode::PONG, *b"").encode();
    loop {
        assert_soon(started);
        let _ended = parked.socket.connection().try_send(&pong).await;
        let metrics = server.metrics().await;
        if metrics.sum("fanfare_write_timeouts_total", &[]) >= 1.0 {
            break;
        }
    }
    server.expect_nothing_left().await;
    let metrics = server.metrics().await;
    assert_eq!(metrics.sum("fanfare_write_timeouts_total", &[]), 1.0);
    let closed = metrics.sum("fanfare_closes_total", &[("code", "4100")]);
    assert_eq!(closed, 1.0);
    drop(parked);
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn what_comes_after_the_close_is_taken_only_up_to_a_point() {
    let server = or_skip!(impatient().set("server.close_timeout", 300).start().await);
    let mut client = server.connect().await;
    let part = Frame::new(Opcode::TEXT, vec![b'x'; 60_000]).unfinished();
    client.socket.send(part.clone()).await;
    client.socket.send(Frame::new(Opcode::BINARY, *b"x")).await;
    assert_eq!(client.socket.read_close().await.code, Some(1002));
    let started = Instant::now();
    let part = part.encode();
    let mut sent = 0;
    while client.socket.connection().try_send(&part).await.is_ok() {
        assert_soon(started);
        sent += part.len();
        assert!(sent < 64 << 20, "{sent} bytes were taken");
    }
    // A close behind a message that was never finished is seen.
    let mut client = server.connect().await;
    client.socket.send(Frame::new(Opcode::BINARY, *b"x")).await;
    let close = Frame::close(1003, "").encode();
    client.socket.send_bytes(&part).await;
    client.socket.send_bytes(&close).await;
    assert_eq!(client.socket.read_close().await.code, Some(1003));
    client.socket.expect_end().await;
    assert_soon(started);
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn client_that_is_gone_without_a_word_is_closed_after_its_pings() {
    let server = or_skip!(
        TestServer::builder()
            .set("server.activity_timeout", 1)
            .set("server.pong_timeout", 1)
            .set("server.close_timeout", 1)
            .start()
            .await
    );
    let channel = server.channel("presence-");
    let mut gone = Vec::new();
    for number in 0..30 {
        let mut client = server.connect().await;
        client
            .subscribe_presence(&channel, &format!("u{number}"), json!({}))
            .await;
        gone.push(client);
    }
    let started = Instant::now();
    server.expect_nothing_left().await;
    assert_soon(started);
    drop(gone);
    server.finish().await;
}

#[tokio::test]
async fn connection_that_never_authenticates_is_closed_at_its_timeout() {
    let app = AppConfig::new("10001").set("authorized_connections_timeout", 3);
    let server = or_skip!(TestServer::builder().app(app).start().await);
    let started = Instant::now();
    let mut client = server.connect().await;
    // Asking for what is not granted is no authentication.
    client
        .send_subscribe("private-a", Some("key-10001:00"), None)
        .await;
    client.expect_subscription_error("private-a").await;
    client.expect_close_code(4009).await;
    assert_soon(started);
    server.finish().await;
}
