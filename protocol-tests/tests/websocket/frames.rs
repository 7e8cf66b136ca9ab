//! Frames: RFC 6455 in full.

use protocol_tests::{AppConfig, Close, Frame, Opcode, TestServer, WsClient, or_skip};
use serde_json::json;

use crate::support::assert_served;

/// Sends frames to a fresh connection and returns how it was closed.
async fn closed_by(server: &TestServer, frames: &[Frame]) -> Close {
    let mut client = server.connect().await;
    let bytes: Vec<u8> = frames.iter().flat_map(Frame::encode).collect();
    client.socket.send_bytes(&bytes).await;
    let close = client.expect_close().await;
    assert!(!close.reason.is_empty(), "a close carries a reason text");
    close
}

#[tokio::test]
async fn binary_frame_is_closed_with_1003() {
    let server = TestServer::start().await;
    let ping = br#"{"event":"pusher:ping"}"#;
    for frame in [
        Frame::new(Opcode::BINARY, *ping),
        Frame::new(Opcode::BINARY, []),
        Frame::new(Opcode::BINARY, *ping).unfinished(),
    ] {
        assert_eq!(closed_by(&server, &[frame]).await.code, Some(1003));
    }
    server.finish().await;
}

#[tokio::test]
async fn invalid_utf8_is_closed_with_1007() {
    let server = TestServer::start().await;
    for bytes in [
        &b"{\"event\":\"\xff\"}"[..],
        b"\xc3",         // cut short
        b"\xc0\xaf",     // overlong
        b"\xed\xa0\x80", // a surrogate
        b"\xf4\x90\x80\x80",
    ] {
        let close = closed_by(&server, &[Frame::new(Opcode::TEXT, bytes)]).await;
        assert_eq!(close.code, Some(1007), "{bytes:?}");
    }
    server.finish().await;
}

#[tokio::test]
async fn invalid_utf8_in_a_fragmented_message_is_closed_with_1007() {
    let server = TestServer::start().await;
    let frames = [
        Frame::new(Opcode::TEXT, *b"{\"event\":\"\xc3").unfinished(),
        Frame::new(Opcode::CONTINUATION, *b"x\"}"),
    ];
    assert_eq!(closed_by(&server, &frames).await.code, Some(1007));
    server.finish().await;
}

#[tokio::test]
async fn unmasked_frame_is_closed_with_1002() {
    let server = TestServer::start().await;
    for frame in [
        Frame::text(r#"{"event":"pusher:ping"}"#),
        Frame::new(Opcode::PING, []),
        Frame::close(1000, ""),
    ] {
        let close = closed_by(&server, &[frame.unmasked()]).await;
        assert_eq!(close.code, Some(1002));
    }
    server.finish().await;
}

#[tokio::test]
async fn bad_opcode_is_closed_with_1002() {
    let server = TestServer::start().await;
    for opcode in (0x3..=0x7).chain(0xB..=0xF) {
        let close = closed_by(&server, &[Frame::new(Opcode(opcode), *b"x")]).await;
        assert_eq!(close.code, Some(1002), "opcode {opcode:#x}");
    }
    server.finish().await;
}

#[tokio::test]
async fn reserved_bits_are_closed_with_1002() {
    let server = TestServer::start().await;
    for rsv in 0b001..=0b111 {
        for opcode in [Opcode::TEXT, Opcode::PING] {
            let frame = Frame::new(opcode, *b"{}").with_rsv(rsv);
            let close = closed_by(&server, &[frame]).await;
            assert_eq!(close.code, Some(1002), "{opcode:?} with bits {rsv:#b}");
        }
    }
    server.finish().await;
}

#[tokio::test]
async fn oversized_control_frame_is_closed_with_1002() {
    let server = TestServer::start().await;
    for opcode in [Opcode::PING, Opcode::PONG, Opcode::CLOSE] {
        let close = closed_by(&server, &[Frame::new(opcode, vec![b'x'; 126])]).await;
        assert_eq!(close.code, Some(1002), "{opcode:?}");
    }
    server.finish().await;
}

#[tokio::test]
async fn fragmented_control_frame_is_closed_with_1002() {
    let server = TestServer::start().await;
    for opcode in [Opcode::PING, Opcode::PONG, Opcode::CLOSE] {
        let close = closed_by(&server, &[Frame::new(opcode, []).unfinished()]).await;
        assert_eq!(close.code, Some(1002), "{opcode:?}");
    }
    server.finish().await;
}

#[tokio::test]
async fn continuation_of_nothing_is_closed_with_1002() {
    let server = TestServer::start().await;
    for frame in [
        Frame::new(Opcode::CONTINUATION, *b"{}"),
        Frame::new(Opcode::CONTINUATION, *b"{}").unfinished(),
    ] {
        assert_eq!(closed_by(&server, &[frame]).await.code, Some(1002));
    }
    server.finish().await;
}

#[tokio::test]
async fn new_message_inside_a_fragmented_one_is_closed_with_1002() {
    let server = TestServer::start().await;
    let frames = [Frame::text("{").unfinished(), Frame::text("{}")];
    assert_eq!(closed_by(&server, &frames).await.code, Some(1002));
    server.finish().await;
}

#[tokio::test]
async fn message_over_the_configured_size_is_closed_with_1009() {
    let builder = TestServer::builder().app(AppConfig::new("10001").limit("message_bytes", 4096));
    let server = or_skip!(builder.start().await);
    let ping = |size: usize| {
        let envelope = r#"{"event":"pusher:ping","data":""}"#.len();
        json!({"event": "pusher:ping", "data": "x".repeat(size - envelope)}).to_string()
    };
    let mut client = server.connect().await;
    assert_eq!(ping(4096).len(), 4096);
    client.send_text(&ping(4096)).await;
    client.expect_event("pusher:pong").await;
    let close = closed_by(&server, &[Frame::text(&ping(4097))]).await;
    assert_eq!(close.code, Some(1009));
    let close = closed_by(&server, &Frame::fragments(&ping(4097), 1000)).await;
    assert_eq!(close.code, Some(1009));
    server.finish().await;
}

#[tokio::test]
async fn message_over_64_kib_is_closed_with_1009_by_default_and_the_client_sees_it() {
    // Closing with input unread makes the kernel reset the connection, which can destroy the close frame on its way.
    let server = TestServer::start().await;
    for size in [65_537, 1_000_000] {
        let close = closed_by(&server, &[Frame::text(&"x".repeat(size))]).await;
        assert_eq!(close.code, Some(1009), "{size}");
    }
    server.finish().await;
}

#[tokio::test]
async fn announced_length_over_the_limit_is_closed_with_1009_before_the_payload_comes() {
    let server = TestServer::start().await;
    for length in [65_537, 1 << 40, (1 << 63) - 1] {
        let close = closed_by(&server, &[Frame::new(Opcode::TEXT, []).announcing(length)]).await;
        assert_eq!(close.code, Some(1009), "{length}");
    }
    server.finish().await;
}

#[tokio::test]
async fn fragmented_text_messages_are_reassembled() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    let channel = server.channel("fragments-");
    let subscribe = json!({"event": "pusher:subscribe", "data": {"channel": channel}, "ü": "€😀"});
    for size in [1, 2, 7, 1000] {
        let bytes: Vec<u8> = Frame::fragments(&subscribe.to_string(), size)
            .iter()
            .flat_map(Frame::encode)
            .collect();
        client.socket.send_bytes(&bytes).await;
        client.expect_subscribed(&channel).await;
    }
    server.finish().await;
}

#[tokio::test]
async fn control_frames_may_come_between_fragments() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    for (position, frame) in Frame::fragments(r#"{"event":"pusher:ping"}"#, 5)
        .into_iter()
        .enumerate()
    {
        client.socket.send(frame).await;
        if position == 1 {
            client
                .socket
                .send(Frame::new(Opcode::PING, *b"between"))
                .await;
        }
    }
    let pong = client.socket.read().await.unwrap();
    assert_eq!(
        (pong.opcode, &pong.payload[..]),
        (Opcode::PONG, &b"between"[..])
    );
    client.expect_event("pusher:pong").await;
    server.finish().await;
}

#[tokio::test]
async fn empty_fragments_are_allowed() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    for frame in [
        Frame::text("").unfinished(),
        Frame::new(Opcode::CONTINUATION, *br#"{"event":"pusher:ping"}"#).unfinished(),
        Frame::new(Opcode::CONTINUATION, []),
    ] {
        client.socket.send(frame).await;
    }
    client.expect_event("pusher:pong").await;
    server.finish().await;
}

#[tokio::test]
async fn websocket_pings_are_answered_with_the_same_payload() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    for payload in [&b""[..], b"hello", &[0xFF; 125]] {
        client.socket.send(Frame::new(Opcode::PING, payload)).await;
        let pong = client.socket.read().await.unwrap();
        assert_eq!((pong.opcode, &pong.payload[..]), (Opcode::PONG, payload));
    }
    server.finish().await;
}

#[tokio::test]
async fn unasked_pongs_are_passed_over() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    client
        .socket
        .send(Frame::new(Opcode::PONG, *b"unasked"))
        .await;
    client.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn many_frames_in_one_write_are_answered_in_order() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    let channels: Vec<String> = (0..20).map(|_| server.channel("burst-")).collect();
    let mut bytes = Vec::new();
    for channel in &channels {
        let subscribe = json!({"event": "pusher:subscribe", "data": {"channel": channel}});
        bytes.extend(Frame::text(&subscribe.to_string()).encode());
    }
    client.socket.send_bytes(&bytes).await;
    for channel in &channels {
        client.expect_subscribed(channel).await;
    }
    server.finish().await;
}

#[tokio::test]
async fn every_mask_is_undone() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    for mask in [[0; 4], [0xFF; 4], [1, 2, 3, 4], [0x80, 0, 0x7F, 0x22]] {
        let mut frame = Frame::text(r#"{"event":"pusher:ping"}"#);
        frame.mask = Some(mask);
        client.socket.send(frame).await;
        client.expect_event("pusher:pong").await;
    }
    server.finish().await;
}

#[tokio::test]
async fn fault_of_one_connection_is_no_other_ones() {
    let server = TestServer::start().await;
    let mut bystander: WsClient = server.connect().await;
    for _ in 0..10 {
        closed_by(&server, &[Frame::new(Opcode(0xF), *b"x")]).await;
    }
    assert_served(&server, &mut bystander).await;
    server.finish().await;
}
