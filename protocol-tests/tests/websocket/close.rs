//! Closing: the closing handshake of RFC 6455 from the client's side. The codes that the server closes with are tested
//! with what they are for.

use protocol_tests::{Close, Ended, Frame, Opcode, PublishedEvent, TestServer};

use crate::support::{assert_served, upgrade};

#[tokio::test]
async fn close_frame_is_echoed_and_the_connection_then_closed_by_the_server() {
    let server = TestServer::start().await;
    for code in [1000, 1001, 3000, 4000, 4999] {
        let mut client = server.connect().await;
        client.socket.send(Frame::close(code, "bye")).await;
        assert_eq!(client.socket.read_close().await.code, Some(code));
        assert_eq!(client.socket.expect_end().await, Ended::Eof);
    }
    server.finish().await;
}

#[tokio::test]
async fn close_frame_without_a_code_is_answered_too() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    client.socket.send(Frame::new(Opcode::CLOSE, [])).await;
    let close = client.socket.read_close().await;
    assert!(matches!(close.code, None | Some(1000)), "{close:?}");
    assert_eq!(client.socket.expect_end().await, Ended::Eof);
    server.finish().await;
}

#[tokio::test]
async fn nothing_that_is_sent_after_a_close_frame_counts() {
    let server = TestServer::start().await;
    let mut watcher = server.connect().await;
    let channel = server.channel("private-");
    watcher.subscribe(&channel).await;
    let mut client = server.connect().await;
    client.subscribe(&channel).await;
    let event = format!(r#"{{"event":"client-late","channel":"{channel}","data":1}}"#);
    let mut bytes = Frame::close(1000, "").encode();
    bytes.extend(Frame::text(&event).encode());
    client.socket.send_bytes(&bytes).await;
    assert_eq!(client.socket.read_close().await.code, Some(1000));
    client.socket.expect_end().await;
    watcher.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn close_codes_that_no_peer_may_send_are_answered_with_1002() {
    let server = TestServer::start().await;
    for code in [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65_535] {
        let mut client = server.connect().await;
        client.socket.send(Frame::close(code, "")).await;
        let close = client.expect_close().await;
        assert_eq!(close.code, Some(1002), "{code}");
        assert!(close.reason.contains("close frame"), "{}", close.reason);
    }
    server.finish().await;
}

#[tokio::test]
async fn close_frame_of_one_byte_is_answered_with_1002() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    client.socket.send(Frame::new(Opcode::CLOSE, [3])).await;
    assert_eq!(client.expect_close().await.code, Some(1002));
    server.finish().await;
}

#[tokio::test]
async fn close_reason_that_is_no_utf8_is_a_fault() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    client
        .socket
        .send(Frame::new(Opcode::CLOSE, *b"\x03\xe8\xff\xfe"))
        .await;
    let close: Close = client.expect_close().await;
    assert!(matches!(close.code, Some(1002 | 1007)), "{close:?}");
    server.finish().await;
}

#[tokio::test]
async fn server_ends_the_connection_when_the_client_never_answers_its_close() {
    let server = TestServer::start().await;
    let mut socket = server
        .open(&upgrade(server.app(), "protocol=99"))
        .await
        .unwrap();
    assert_eq!(socket.read_close().await.code, Some(4007));
    socket.expect_end().await;
    server.finish().await;
}

#[tokio::test]
async fn client_that_vanishes_is_forgotten_at_once() {
    let server = TestServer::start().await;
    let channel = server.channel("gone-");
    for reset in [false, true] {
        let mut client = server.connect().await;
        client.subscribe(&channel).await;
        if reset {
            client.socket.connection().reset_on_drop();
        }
        drop(client);
        server.expect_nothing_left().await;
    }
    server
        .publish(PublishedEvent::new(&channel, "x", "to nobody"))
        .await;
    let mut client = server.connect().await;
    assert_served(&server, &mut client).await;
    server.finish().await;
}

#[tokio::test]
async fn client_that_ends_its_side_only_is_closed() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    client.socket.connection().finish_sending();
    protocol_tests::within("the server to close", async {
        while client.socket.next().await.is_ok() {}
    })
    .await;
    server.finish().await;
}
