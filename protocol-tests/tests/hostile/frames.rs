//! Frames that are wrong, huge or random. What each mistake is closed with is tested with the WebSocket protocol; here
//! it is made in bulk.

use protocol_tests::{AppConfig, Close, Frame, Opcode, TestServer, WsClient, or_skip, within};

use crate::support::{Random, assert_unharmed, impatient};

/// Codes that a mistake in frames or text may be closed with.
const MISTAKES: [u16; 4] = [1002, 1003, 1007, 1009];

/// Reads on to the close, which must come with what is wrong.
async fn assert_closed(client: &mut WsClient, codes: &[u16], what: &str) {
    let close = client.socket.read_close().await;
    let fits = close.code.is_some_and(|code| codes.contains(&code));
    assert!(fits && !close.reason.is_empty(), "{what}: {close:?}");
}

#[tokio::test]
async fn every_first_byte_is_served_or_closed_with_a_code() {
    let server = or_skip!(impatient().start().await);
    for first in 0..=255u8 {
        let mut client = server.connect().await;
        client
            .socket
            .send_bytes(&[first, 0x81, 1, 2, 3, 4, b'x' ^ 1])
            .await;
        let (fin, rsv, opcode) = (first & 0x80 != 0, first & 0x70, first & 0x0f);
        let allowed = rsv == 0 && (matches!(opcode, 0x9 | 0xA) && fin || opcode == 0x1);
        if !allowed {
            assert_closed(&mut client, &MISTAKES, &format!("{first:#x}")).await;
        } else if fin {
            // A ping, a pong, or a message that is no JSON.
            client
                .socket
                .send(Frame::new(Opcode::PING, *b"fence"))
                .await;
            loop {
                let frame = client.socket.read().await.expect("the connection stays");
                if frame.opcode == Opcode::PONG && frame.payload == b"fence" {
                    break;
                }
            }
        }
    }
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn every_second_byte_without_a_mask_is_closed_with_1002() {
    let server = or_skip!(impatient().start().await);
    for second in 0..=127u8 {
        let mut client = server.connect().await;
        // Enough for the longest header of a frame.
        let bytes = [&[0x81, second][..], &[0; 16]].concat();
        client.socket.send_bytes(&bytes).await;
        assert_closed(&mut client, &[1002], &format!("{second:#x}")).await;
    }
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn huge_announced_lengths_are_closed_at_once_and_not_allocated() {
    let server = or_skip!(impatient().start().await);
    let before = crate::support::resident_memory(&server);
    let mut clients = Vec::new();
    for length in [
        65_537,
        1 << 20,
        1 << 31,
        1 << 32,
        1 << 40,
        (1 << 63) - 1,
        1 << 63,
        u64::MAX,
    ] {
        for opcode in [
            Opcode::TEXT,
            Opcode::BINARY,
            Opcode::CONTINUATION,
            Opcode::PING,
        ] {
            let mut client = server.connect().await;
            client
                .socket
                .send(Frame::new(opcode, *b"begin").announcing(length))
                .await;
            assert_closed(&mut client, &MISTAKES, &format!("{opcode:?} {length}")).await;
            clients.push(client);
        }
    }
    let grown = crate::support::resident_memory(&server).saturating_sub(before);
    assert!(
        grown < 64 << 20,
        "{grown} bytes more for lengths that were only announced"
    );
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn message_in_a_hundred_thousand_fragments_is_bounded() {
    let app = AppConfig::new("10001").limit("messages_per_second", 1_000_000);
    let builder = TestServer::builder().app(app).own_process();
    let server = or_skip!(builder.start().await);
    let mut client = server.connect().await;
    let mut bytes = Frame::new(Opcode::TEXT, *b"{").unfinished().encode();
    for _ in 0..100_000 {
        bytes.extend(
            Frame::new(Opcode::CONTINUATION, *b" ")
                .unfinished()
                .encode(),
        );
    }
    let _closed_meanwhile = client.socket.connection().try_send(&bytes).await;
    assert_closed(&mut client, &[1009], "more than fits").await;
    // Fragments that hold nothing never fill a message; it must end by itself.
    let mut client = server.connect().await;
    let mut bytes = Frame::new(Opcode::TEXT, []).unfinished().encode();
    for _ in 0..100_000 {
        bytes.extend(Frame::new(Opcode::CONTINUATION, []).unfinished().encode());
    }
    bytes.extend(Frame::new(Opcode::CONTINUATION, *br#"{"event":"pusher:ping"}"#).encode());
    client.socket.connection().send(&bytes).await;
    client.expect_event("pusher:pong").await;
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn flood_of_pings_is_answered_in_order() {
    let app = AppConfig::new("10001").limit("messages_per_second", 1_000_000);
    let builder = TestServer::builder().app(app).own_process();
    let server = or_skip!(builder.start().await);
    let mut client = server.connect().await;
    for round in 0..50u32 {
        let mut bytes = Vec::new();
        for number in 0..200u32 {
            let payload = (round * 200 + number).to_be_bytes();
            bytes.extend(Frame::new(Opcode::PING, payload).encode());
        }
        client.socket.send_bytes(&bytes).await;
        for number in 0..200u32 {
            let frame = client.socket.read().await.expect("the connection stays");
            assert_eq!(frame.opcode, Opcode::PONG);
            assert_eq!(frame.payload, (round * 200 + number).to_be_bytes());
        }
    }
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn random_frames_are_served_or_closed_with_a_code() {
    let server = or_skip!(impatient().start().await);
    let mut random = Random::new(1);
    for round in 0..300 {
        let mut client = server.connect().await;
        for _ in 0..20 {
            let length = random.below(200);
            let mut frame = Frame::new(Opcode((random.next() & 0xf) as u8), random.bytes(length));
            frame.fin = random.below(4) != 0;
            frame.rsv = if random.below(16) == 0 { 0b100 } else { 0 };
            if random.below(16) == 0 {
                frame.mask = None;
            }
            if client.socket.try_send(frame).await.is_err() {
                break;
            }
        }
        // Whatever is still open is ended by a frame that is always wrong.
        let _closed_already = client.socket.try_send(Frame::new(Opcode(0xF), [])).await;
        let close = client.socket.read_close().await;
        assert_fitting_close(&close, round);
    }
    assert_unharmed(&server).await;
    server.finish().await;
}

/// A random frame may also be a close, which is echoed.
fn assert_fitting_close(close: &Close, round: usize) {
    let Some(code) = close.code else {
        return;
    };
    let is_mistake = MISTAKES.contains(&code);
    let is_echo = (1000..5000).contains(&code);
    assert!(is_mistake || is_echo, "round {round}: {close:?}");
}

#[tokio::test]
async fn random_bytes_behind_the_handshake_are_closed_with_a_code() {
    let server = or_skip!(impatient().start().await);
    let mut random = Random::new(2);
    let mut clients = Vec::new();
    for _ in 0..300 {
        let mut client = server.connect().await;
        let count = 1 + random.below(500);
        let _closed_meanwhile = client
            .socket
            .connection()
            .try_send(&random.bytes(count))
            .await;
        clients.push(client);
    }
    for client in &mut clients {
        // What is incomplete is closed at the message timeout; what happens to be whole is answered with what is wrong.
        within("an answer", async {
            loop {
                match client.socket.next().await {
                    Ok(frame) if frame.opcode == Opcode::CLOSE => {
                        assert_fitting_close(&Close::parse(&frame.payload), 0);
                        return;
                    }
                    Ok(_) => {}
                    Err(ended) => panic!("no close frame: {ended}"),
                }
            }
        })
        .await;
    }
    assert_unharmed(&server).await;
    server.finish().await;
}
