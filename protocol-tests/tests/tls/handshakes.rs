//! Certificates, versions and sessions.

use std::io::Write as _;
use std::net::TcpStream;

use protocol_tests::{Connection, Request, eventually, or_skip};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, HandshakeKind, ProtocolVersion};
use tokio::net::TcpSocket;

use crate::server::{self, Certificates, handshakes, send};
use crate::tunnel::{BOTH, Tunnel, client, shake_hands};

#[tokio::test]
async fn a_client_is_given_the_certificate_of_the_name_that_it_asks_for() {
    let certificates = Certificates::new();
    let first = certificates.issue("first", &["first.test", "other.test"]);
    let second = certificates.issue("second", &["*.second.test"]);
    let mut more = toml::Table::new();
    for (key, path) in [
        ("certificate", certificates.certificate("second")),
        ("key", certificates.key("second")),
    ] {
        more.insert(key.into(), path.to_str().unwrap().into());
    }
    let server = certificates
        .builder("first")
        .set("tls.certificates", vec![toml::Value::Table(more)]);
    let server = or_skip!(server.start().await);
    let address = server.tls_authority();
    let config = client(certificates.roots(), BOTH);
    for (name, expected) in [
        ("first.test", &first),
        ("other.test", &first),
        ("a.second.test", &second),
    ] {
        let (shaken, _) = shake_hands(address, &config, name).await.unwrap();
        assert_eq!(&shaken.certificate, expected, "{name}");
    }
    // It is given the first, which is not for this name.
    let refused = shake_hands(address, &config, "elsewhere.test").await;
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("not valid for name")
    );
    eventually("the client's alert to be counted", || async {
        (handshakes(&server, "refused").await == 1.0).then_some(())
    })
    .await;
    server.finish().await;
}

#[tokio::test]
async fn both_versions_are_spoken_and_resumed() {
    let (server, certificates) = or_skip!(server::start().await);
    for (version, expected) in [
        (&rustls::version::TLS12, ProtocolVersion::TLSv1_2),
        (&rustls::version::TLS13, ProtocolVersion::TLSv1_3),
    ] {
        let config = client(certificates.roots(), &[version]);
        let tunnel = Tunnel::to(server.tls_authority(), config, "relay.test").await;
        for _ in 0..3 {
            send(&tunnel, &Request::new("GET", "/up"))
                .await
                .expect_status(200);
        }
        let shaken = tunnel.handshakes();
        assert!(shaken.iter().all(|it| it.version == expected));
        let kinds: Vec<HandshakeKind> = shaken.iter().map(|it| it.kind).collect();
        assert_eq!(
            kinds,
            [
                HandshakeKind::Full,
                HandshakeKind::Resumed,
                HandshakeKind::Resumed
            ],
            "{expected:?}"
        );
    }
    assert_eq!(handshakes(&server, "full").await, 2.0);
    assert_eq!(handshakes(&server, "resumed").await, 4.0);
    server.finish().await;
}

#[tokio::test]
async fn an_older_version_than_the_minimum_is_refused() {
    let certificates = Certificates::new();
    certificates.issue("relay", &["relay.test"]);
    let server = certificates.builder("relay").set("tls.minimum", "1.3");
    let server = or_skip!(server.start().await);
    let address = server.tls_authority();
    let old = client(certificates.roots(), &[&rustls::version::TLS12]);
    assert!(shake_hands(address, &old, "relay.test").await.is_err());
    let new = client(certificates.roots(), BOTH);
    shake_hands(address, &new, "relay.test").await.unwrap();
    assert_eq!(handshakes(&server, "incompatible").await, 1.0);
    server.finish().await;
}

#[tokio::test]
async fn plain_http_is_answered_with_a_sentence() {
    let (server, _certificates) = or_skip!(server::start().await);
    let mut connection = Connection::open(server.tls_authority()).await;
    connection
        .send(b"GET /up HTTP/1.1\r\nHost: relay.test\r\n\r\n")
        .await;
    let (answer, _) = connection.receive_to_end().await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(
        answer.contains("this port speaks TLS; use https:// or wss://"),
        "{answer}"
    );
    assert_eq!(handshakes(&server, "plain_http").await, 1.0);
    server.finish().await;
}

#[tokio::test]
async fn what_is_no_tls_is_refused_with_an_alert() {
    let (server, _certificates) = or_skip!(server::start().await);
    let mut connection = Connection::open(server.tls_authority()).await;
    connection.send(&[22, 3, 1, 0, 5, 9, 0, 0, 1, 0]).await;
    let (answer, _) = connection.receive_to_end().await;
    assert_eq!(answer.first(), Some(&21), "{answer:?}");
    assert_eq!(handshakes(&server, "malformed").await, 1.0);
    server.finish().await;
}

#[tokio::test]
async fn handshakes_count_while_they_are_under_way() {
    let (server, _certificates) = or_skip!(server::start().await);
    let under_way = async |expected: f64| {
        let labels = [("table", "tls_handshakes")];
        eventually("handshakes to be counted", || async {
            let metrics = server.metrics().await;
            (metrics.sum("fanfare_table_entries", &labels) == expected).then_some(())
        })
        .await;
    };
    let mut connection = Connection::open(server.tls_authority()).await;
    connection.send(&[22, 3, 1, 2, 0, 1, 0]).await;
    under_way(1.0).await;
    drop(connection);
    under_way(0.0).await;
    server.finish().await;
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_ended() {
    let certificates = Certificates::new();
    certificates.issue("relay", &["relay.test"]);
    let server = certificates
        .builder("relay")
        .set("tls.handshake_timeout", 1);
    let server = or_skip!(server.start().await);
    for begun in [&[][..], &[22, 3, 1, 2, 0, 1, 0]] {
        let mut connection = Connection::open(server.tls_authority()).await;
        connection.send(begun).await;
        connection.receive_to_end().await;
    }
    assert_eq!(handshakes(&server, "timeout").await, 2.0);
    server.finish().await;
}

/// A socket that blocks, from one of this machine's addresses.
async fn connect_from(address: &str, server: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket
        .bind(format!("{address}:0").parse().unwrap())
        .unwrap();
    let stream = socket.connect(server.parse().unwrap()).await.unwrap();
    let stream = stream.into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    stream
}

#[tokio::test]
async fn a_client_that_connects_a_thousand_times_displaces_itself() {
    const SILENT: usize = 1400;
    let certificates = Certificates::new();
    certificates.issue("relay", &["relay.test"]);
    let server = certificates.builder("relay").set("server.workers", 1);
    let server = or_skip!(server.start().await);
    let address = server.tls_authority();
    let name = ServerName::try_from("relay.test").unwrap();
    let config = client(certificates.roots(), BOTH);
    let mut honest = ClientConnection::new(config, name).unwrap();
    let mut hello = Vec::new();
    honest.write_tls(&mut hello).unwrap();
    let (first, rest) = hello.split_at(100);
    // What it sends comes in pieces, as its link is slow.
    let mut stream = connect_from("127.0.0.3", address).await;
    stream.write_all(first).unwrap();
    eventually("the handshake to have begun", || async {
        let metrics = server.metrics().await;
        let labels = [("table", "tls_handshakes")];
        (metrics.sum("fanfare_table_entries", &labels) == 1.0).then_some(())
    })
    .await;
    let mut silent = Vec::new();
    for _ in 0..SILENT {
        silent.push(connect_from("127.0.0.2", address).await);
    }
    eventually("all others to have come", || async {
        let displaced = handshakes(&server, "displaced").await;
        (displaced >= (SILENT + 1 - 512) as f64).then_some(())
    })
    .await;
    stream.write_all(rest).unwrap();
    let ended = tokio::task::spawn_blocking(move || {
        honest.complete_io(&mut stream).unwrap();
        honest.is_handshaking()
    });
    assert!(!ended.await.unwrap());
    drop(silent);
    server.finish().await;
}
