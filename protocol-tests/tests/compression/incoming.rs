//! Messages that clients compress.

use protocol_tests::deflate::deflate;
use protocol_tests::{Close, Frame, Opcode, TestServer};
use serde_json::json;

use crate::support::{connect, offering, text};

const PING: &str = r#"{"event":"pusher:ping","data":{}}"#;

/// The compressed message in frames of at most so many bytes.
fn fragments(message: &str, size: usize) -> Vec<Frame> {
    let deflated = deflate(message.as_bytes());
    let parts: Vec<_> = deflated.chunks(size).collect();
    let last = parts.len() - 1;
    let frames = parts.iter().enumerate().map(|(number, part)| {
        let mut frame = match number {
            0 => Frame::new(Opcode::TEXT, *part).with_rsv(Frame::RSV1),
            _ => Frame::new(Opcode::CONTINUATION, *part),
        };
        frame.fin = number == last;
        frame
    });
    frames.collect()
}

#[tokio::test]
async fn compressed_messages_are_taken_whole_and_in_parts() {
    let server = TestServer::start().await;
    let channel = server.channel("private-");
    let mut sender = connect(&server).await;
    let mut receiver = server.connect().await;
    for client in [&mut sender, &mut receiver] {
        client.subscribe(&channel).await;
    }
    for (number, size) in [usize::MAX, 1, 7, 100].into_iter().enumerate() {
        let data = text(1500, number);
        let message =
            json!({"event": "client-event", "channel": channel, "data": data}).to_string();
        for frame in fragments(&message, size) {
            sender.socket.send(frame).await;
            if size == 100 {
                // Control frames may stand between.
                sender.socket.send(Frame::new(Opcode::PONG, *b"x")).await;
            }
        }
        let event = receiver.expect_event_on(&channel, "client-event").await;
        assert_eq!(event.data_text(), data);
    }
    // Those that are not compressed are taken, too.
    sender.send_text(PING).await;
    sender.expect_event("pusher:pong").await;
    let metrics = server.metrics().await;
    assert_eq!(metrics.sum("fanfare_messages_inflated_total", &[]), 4.0);
    assert!(metrics.sum("fanfare_received_bytes_total", &[]) > 6000.0);
    server.finish().await;
}

#[tokio::test]
async fn every_form_of_a_message_in_the_rfc_is_taken() {
    let server = TestServer::start().await;
    let mut client = connect(&server).await;
    // RFC 7692 §7.2.3: stored, and in several blocks.
    let stored = {
        let length = PING.len() as u16;
        let header = [&[0][..], &length.to_le_bytes(), &(!length).to_le_bytes()].concat();
        [&header[..], PING.as_bytes(), &[0]].concat()
    };
    // A block that says it is the last, and an empty one behind it.
    let mut last = stored.clone();
    last[0] = 1;
    let mut in_two = deflate(&PING.as_bytes()[..10]);
    in_two.extend([0, 0, 0xff, 0xff]);
    in_two.extend(deflate(&PING.as_bytes()[10..]));
    for message in [stored, last, in_two] {
        let frame = Frame::new(Opcode::TEXT, message).with_rsv(Frame::RSV1);
        client.socket.send(frame).await;
        client.expect_event("pusher:pong").await;
    }
    server.finish().await;
}

async fn closed_by(server: &TestServer, frames: Vec<Frame>) -> Close {
    let mut client = connect(server).await;
    let bytes: Vec<u8> = frames.iter().flat_map(Frame::encode).collect();
    client.socket.send_bytes(&bytes).await;
    let close = client.expect_close().await;
    assert!(!close.reason.is_empty(), "a close carries a reason text");
    close
}

#[tokio::test]
async fn marks_where_none_may_be_are_closed_with_1002() {
    let server = TestServer::start().await;
    let marked = |opcode| Frame::new(opcode, deflate(b"x")).with_rsv(Frame::RSV1);
    let mut second_part = fragments(PING, 10);
    second_part[1].rsv = Frame::RSV1;
    for frames in [
        vec![marked(Opcode::PING)],
        vec![marked(Opcode::PONG)],
        vec![Frame::close(1000, "").with_rsv(Frame::RSV1)],
        second_part,
        vec![Frame::deflated(PING).with_rsv(0b110)],
        vec![Frame::text(PING).with_rsv(0b010)],
    ] {
        assert_eq!(closed_by(&server, frames).await.code, Some(1002));
    }
    // Where nothing was agreed on, none may be anywhere.
    for offer in [None, Some("permessage-deflate; unknown")] {
        let mut client = match offer {
            None => server.connect().await,
            Some(offer) => {
                let upgrade = offering(server.app(), offer);
                server.connect_with(server.app(), &upgrade).await
            }
        };
        client.socket.send(Frame::deflated(PING)).await;
        client.expect_close_code(1002).await;
    }
    server.finish().await;
}

#[tokio::test]
async fn what_cannot_be_inflated_is_closed_with_1007() {
    let server = TestServer::start().await;
    for message in [
        // A block of a kind that there is not, and a length that is not repeated.
        vec![0x07],
        vec![0x01, 0x05, 0x00, 0x00, 0x00],
        // What is inflated must be UTF-8.
        deflate(b"{\"event\":\"\xff\"}"),
        // Streams without end.
        [3, 0].repeat(1000),
    ] {
        let frame = Frame::new(Opcode::TEXT, message).with_rsv(Frame::RSV1);
        assert_eq!(closed_by(&server, vec![frame]).await.code, Some(1007));
    }
    let metrics = server.metrics().await;
    let refused = metrics.sum("fanfare_inflate_refused_total", &[("reason", "invalid")]);
    assert_eq!(refused, 3.0);
    server.finish().await;
}

#[tokio::test]
async fn a_bomb_is_closed_with_1009() {
    let server = TestServer::start().await;
    let bomb = deflate(&vec![b' '; 20 << 20]);
    let whole = Frame::new(Opcode::TEXT, bomb.clone()).with_rsv(Frame::RSV1);
    let in_parts: Vec<_> = bomb[..20_000]
        .chunks(1000)
        .enumerate()
        .map(|(number, part)| match number {
            0 => Frame::new(Opcode::TEXT, part)
                .with_rsv(Frame::RSV1)
                .unfinished(),
            _ => {
                let mut frame = Frame::new(Opcode::CONTINUATION, part);
                frame.fin = number == 19;
                frame
            }
        })
        .collect();
    assert!(bomb.len() < 65_536, "{}", bomb.len());
    for frames in [vec![whole], in_parts] {
        assert_eq!(closed_by(&server, frames).await.code, Some(1009));
    }
    let metrics = server.metrics().await;
    let refused = metrics.sum("fanfare_inflate_refused_total", &[("reason", "too_large")]);
    assert_eq!(refused, 2.0);
    server.finish().await;
}

#[tokio::test]
async fn a_message_may_be_as_large_as_one_that_is_not_compressed() {
    let server = TestServer::start().await;
    let ping = |bytes: usize| {
        let padding = " ".repeat(bytes - PING.len());
        format!("{PING}{padding}")
    };
    let mut client = connect(&server).await;
    client.socket.send(Frame::deflated(&ping(65_536))).await;
    client.expect_event("pusher:pong").await;
    // As it is sent, it may be a little larger than that.
    let stored: Vec<u8> = {
        let message = ping(65_535);
        let header = [0, 0xff, 0xff, 0, 0];
        [&header[..], message.as_bytes(), &[0]].concat()
    };
    let frame = Frame::new(Opcode::TEXT, stored).with_rsv(Frame::RSV1);
    client.socket.send(frame).await;
    client.expect_event("pusher:pong").await;
    client.socket.send(Frame::deflated(&ping(65_537))).await;
    client.expect_close_code(1009).await;
    server.finish().await;
}
