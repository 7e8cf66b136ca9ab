//! What clients over TLS see of an ordered certificate.

use std::env;
use std::path::Path;
use std::sync::Arc;

use protocol_tests::{
    Connection, PublishedEvent, TestServer, Upgrade, WebSocket, WsClient, eventually, or_skip,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::pebble::{Habits, Pebble, certificate};
use crate::support::{expect_orders, logged, unready};
use crate::tunnel::{BOTH, Tunnel, client, shake_hands};

/// Clients that stay connected while a certificate is replaced, unless this variable says how many.
const CLIENTS: usize = 200;
const CLIENTS_VARIABLE: &str = "PROTOCOL_TESTS_ACME_CLIENTS";

/// The certificates in the only file that is kept below a folder, the server's own first.
fn kept(state: &Path) -> Vec<CertificateDer<'static>> {
    let certificates = CertificateDer::pem_file_iter(certificate(state)).unwrap();
    certificates.map(Result::unwrap).collect()
}

/// A client that trusts whoever has issued the certificate that is kept.
fn trusting(state: &Path) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for issuer in kept(state).drain(1..) {
        roots.add(issuer).unwrap();
    }
    client(roots, BOTH)
}

/// The certificate that a new client is given.
async fn served(server: &TestServer, state: &Path) -> Vec<u8> {
    // A session that is resumed has no certificate of its own.
    let config = trusting(state);
    let (shaken, _) = shake_hands(server.tls_authority(), &config, "a.test")
        .await
        .unwrap();
    shaken.certificate
}

async fn connect(server: &TestServer, tunnel: &Tunnel) -> WsClient {
    let target = format!(
        "/app/{}?protocol=7&client=tests&version=1.0",
        server.app().key
    );
    let connection = Connection::open(tunnel.authority()).await;
    let request = Upgrade::new(&target).encode("a.test", "");
    let socket = WebSocket::open(connection, &request).await;
    let socket = socket.unwrap_or_else(|response| panic!("refused: {response:?}"));
    WsClient::establish(socket, server.app(), server.http()).await
}

#[tokio::test]
async fn a_certificate_is_ordered_over_tls_and_clients_connect_with_it() {
    let pebble = Pebble::start(Habits::default()).await;
    let state = tempfile::tempdir().unwrap();
    let server = pebble.server("tls-alpn-01", &["a.test", "b.test"], state.path());
    let server = or_skip!(server.start().await);
    let nobody = client(RootCertStore::empty(), BOTH);
    let refused = shake_hands(server.tls_authority(), &nobody, "a.test").await;
    refused.expect_err("there is no certificate yet");
    assert!(unready(&server).await.is_some());
    eventually("the handshake to be counted", || async {
        let metrics = server.metrics().await;
        let labels = [("outcome", "no_certificate")];
        (metrics.sum("fanfare_tls_handshakes_total", &labels) == 1.0).then_some(())
    })
    .await;
    pebble.point_to(&server);
    expect_orders(&server, "issued", 1.0).await;
    assert_eq!(unready(&server).await, None);
    assert_eq!(
        served(&server, state.path()).await,
        kept(state.path())[0].to_vec()
    );
    let tunnel = Tunnel::to(server.tls_authority(), trusting(state.path()), "b.test").await;
    let channel = server.channel("acme");
    let mut subscriber = connect(&server, &tunnel).await;
    subscriber.subscribe(&channel).await;
    server
        .publish(PublishedEvent::new(&channel, "news", "x"))
        .await;
    subscriber.expect_event_on(&channel, "news").await;
    eventually("the expiry to be exported", || async {
        let metrics = server.metrics().await;
        let labels = [("name", "a.test")];
        (metrics.sum("fanfare_tls_certificate_expiry_seconds", &labels) > 0.0).then_some(())
    })
    .await;
    drop(subscriber);
    server.finish().await;
}

#[tokio::test]
async fn nobody_is_dropped_when_a_certificate_is_renewed() {
    let clients = env::var(CLIENTS_VARIABLE).map_or(CLIENTS, |count| count.parse().unwrap());
    let habits = Habits {
        validity: 24,
        ..Habits::default()
    };
    let pebble = Pebble::start(habits).await;
    let state = tempfile::tempdir().unwrap();
    let server = pebble.server("tls-alpn-01", &["a.test"], state.path());
    let server = or_skip!(server.start().await);
    pebble.point_to(&server);
    expect_orders(&server, "issued", 1.0).await;
    let tunnel = Tunnel::to(server.tls_authority(), trusting(state.path()), "a.test").await;
    let channel = server.channel("acme");
    let mut connected = Vec::new();
    for _ in 0..clients {
        let mut client = connect(&server, &tunnel).await;
        client.subscribe(&channel).await;
        connected.push(client);
    }
    let first = served(&server, state.path()).await;
    let mut published = 0;
    let mut publish = async || {
        let number = published.to_string();
        server
            .publish(PublishedEvent::new(&channel, "news", number.as_str()))
            .await;
        published += 1;
        published
    };
    while served(&server, state.path()).await == first {
        publish().await;
        assert!(logged(&server, "no certificate was issued").is_empty());
    }
    for _ in 0..10 {
        publish().await;
    }
    let count = publish().await;
    for client in &mut connected {
        for number in 0..count {
            let event = client.expect_event_on(&channel, "news").await;
            assert_eq!(event.data_text(), number.to_string());
        }
    }
    drop(connected);
    server.finish().await;
}
