//! Listeners on which each connection begins with a header of the PROXY protocol.

use std::time::Duration;

use protocol_tests::connection::Ended;
use protocol_tests::{TestServer, TestServerBuilder, or_skip};
use tokio::time::Instant;

use crate::support::{addresses, establish, get_up, talkative, upgrade};

const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Far less than a test's patience.
const SOON: Duration = Duration::from_secs(15);

fn proxied() -> TestServerBuilder {
    talkative().set("server.proxy_protocol", true)
}

fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let mut header = V2.to_vec();
    header.extend([command, family]);
    header.extend((rest.len() as u16).to_be_bytes());
    header.extend(rest);
    header
}

/// From 203.0.113.7:4711 to 192.0.2.1:443, with so many bytes of extensions.
fn v2_tcp4(extensions: usize) -> Vec<u8> {
    let mut rest = vec![203, 0, 113, 7, 192, 0, 2, 1, 0x12, 0x67, 1, 0xbb];
    rest.resize(12 + extensions, 4);
    v2(0x21, 0x11, &rest)
}

async fn refused(server: &TestServer, reason: &str) -> f64 {
    let labels = [("reason", reason)];
    let metrics = server.metrics().await;
    metrics.sum("fanfare_proxy_headers_refused_total", &labels)
}

/// Sends headers, each before a handshake; returns what the server takes for the client's address.
async fn seen(server: &TestServer, headers: &[Vec<u8>]) -> Vec<String> {
    for (count, header) in headers.iter().enumerate() {
        let mut connection = server.connection().await;
        connection.send(header).await;
        let _socket = establish(server, connection, &upgrade(server)).await;
        addresses(server, "connected", count + 1).await;
    }
    addresses(server, "connected", headers.len()).await
}

#[tokio::test]
async fn clients_are_those_whom_the_header_names() {
    let server = or_skip!(proxied().start().await);
    let ipv6 = b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n";
    let seen = seen(
        &server,
        &[
            b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\r\n".to_vec(),
            ipv6.to_vec(),
            v2_tcp4(0),
            v2_tcp4(3000),
            b"PROXY UNKNOWN\r\n".to_vec(),
            v2(0x20, 0, b""),
            v2(0x21, 0, b"whatever"),
        ],
    )
    .await;
    let (named, own) = ("203.0.113.7", "127.0.0.1");
    assert_eq!(seen, [named, "2001:db8::7", named, named, own, own, own]);
    server.finish().await;
}

#[tokio::test]
async fn headers_may_come_in_pieces_and_with_what_follows() {
    let server = or_skip!(proxied().start().await);
    let v1 = b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\r\n".to_vec();
    for header in [v1, v2_tcp4(40)] {
        let mut connection = server.connection().await;
        for byte in &header {
            connection.send(&[*byte]).await;
        }
        get_up(&mut connection).await.expect_status(200);
        // One header a connection: what follows are requests.
        get_up(&mut connection).await.expect_status(200);
        let mut connection = server.connection().await;
        connection.send(&header[..13]).await;

        let rest = [&header[13..], b"GET /up HTTP/1.1\r\nHost: relay\r\n\r\n"].concat();
        connection.send(&rest).await;
        let answer = protocol_tests::http::read_response(&mut connection, "GET").await;
        assert_eq!(answer.expect("an answer comes").status, 200);
    }
    server.finish().await;
}

#[tokio::test]
async fn whatever_is_no_header_ends_the_connection_and_is_counted() {
    let server = or_skip!(proxied().start().await);
    let endless = format!("PROXY UNKNOWN {}", "x".repeat(4096));
    let mut too_long = v2(0x21, 0x11, b"");
    let length = too_long.len();
    too_long[length - 2..].copy_from_slice(&u16::MAX.to_be_bytes());
    let cases = [
        b"GET /up HTTP/1.1\r\nHost: relay\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"PROXY TCP4 203.0.113.7 192.0.2.1 4711\r\n".to_vec(),
        endless.into_bytes(),
        too_long,
        v2(0x21, 0x11, b"short"),
        v2(0x2f, 0x11, &[0; 12]),
    ];
    for case in &cases {
        let mut connection = server.connection().await;
        // It may be refused before all is sent.
        let _ended_early = connection.try_send(case).await;
        let (answer, _ended) = connection.receive_to_end().await;
        assert_eq!(answer, b"");
    }
    assert_eq!(refused(&server, "malformed").await, cases.len() as f64);
    let lines = server.log();
    let lines = lines.iter().filter(|line| line.contains("has no header"));
    assert_eq!(lines.count(), 1, "one line a minute");
    // Who only looks whether the port is open is none of them.
    let mut connection = server.connection().await;
    connection.finish_sending();
    let (_, ended) = connection.receive_to_end().await;
    assert_eq!(ended, Ended::Eof);
    assert_eq!(refused(&server, "malformed").await, cases.len() as f64);
    server.finish().await;
}

#[tokio::test]
async fn headers_that_do_not_come_are_not_waited_for() {
    let server = proxied().set("server.request_head_timeout", 1);
    let server = or_skip!(server.start().await);
    let start = Instant::now();
    let mut silent = server.connection().await;
    let mut slow = server.connection().await;
    slow.send(b"PROXY TCP4 203.0.113.7").await;
    for connection in [&mut silent, &mut slow] {
        assert_eq!(connection.receive_to_end().await.0, b"");
    }
    assert!(start.elapsed() < SOON);
    assert_eq!(refused(&server, "timeout").await, 2.0);
    server.finish().await;
}

#[tokio::test]
async fn only_trusted_proxies_may_send_headers_if_there_are_any() {
    let server = proxied().set("server.trusted_proxies", vec!["10.0.0.1"]);
    let server = or_skip!(server.start().await);
    let mut connection = server.connection().await;
    let _ended_early = connection.try_send(&v2_tcp4(0)).await;
    assert_eq!(connection.receive_to_end().await.0, b"");
    assert_eq!(refused(&server, "untrusted").await, 1.0);
    server.finish().await;
}

#[tokio::test]
async fn a_trusted_proxy_behind_the_header_names_the_client() {
    let trusted = vec!["127.0.0.1", "203.0.113.7"];
    let server = proxied().set("server.trusted_proxies", trusted);
    let server = or_skip!(server.start().await);
    let mut connection = server.connection().await;
    connection.send(&v2_tcp4(0)).await;
    let upgrade = upgrade(&server).header("X-Forwarded-For", "6.6.6.6, 198.51.100.9");
    let _socket = establish(&server, connection, &upgrade).await;
    assert_eq!(addresses(&server, "connected", 1).await, ["198.51.100.9"]);
    server.finish().await;
}
