//! Certificates that change while the relay runs.

use std::fs;

use protocol_tests::{PublishedEvent, TestServer, WsClient, eventually, or_skip};

use crate::server::{self, connect};
use crate::tunnel::{BOTH, Tunnel, client, shake_hands};

/// Publishes an event, which the client must receive.
async fn expect_delivery(server: &TestServer, channel: &str, client: &mut WsClient) {
    server
        .publish(PublishedEvent::new(channel, "news", "x"))
        .await;
    client.expect_event_on(channel, "news").await;
}

#[tokio::test]
async fn a_newer_certificate_is_served_and_nobody_is_dropped() {
    let (server, certificates) = or_skip!(server::start().await);
    let config = client(certificates.roots(), BOTH);
    let tunnel = Tunnel::to(server.tls_authority(), config, "relay.test").await;
    let channel = server.channel("tls");
    let mut connected = connect(&server, &tunnel).await;
    connected.subscribe(&channel).await;
    let newer = certificates.issue("relay", &["relay.test"]);
    eventually("the newer certificate to be served", || async {
        // A session that is resumed has no certificate of its own.
        let config = client(certificates.roots(), BOTH);
        let (shaken, _) = shake_hands(server.tls_authority(), &config, "relay.test")
            .await
            .unwrap();
        (shaken.certificate == newer).then_some(())
    })
    .await;
    for _ in 0..10 {
        expect_delivery(&server, &channel, &mut connected).await;
    }
    connected.expect_nothing().await;
    drop(connected);
    server.finish().await;
}

#[tokio::test]
async fn files_that_cannot_be_used_change_nothing_and_are_counted() {
    let (server, certificates) = or_skip!(server::start().await);
    let failures = || async {
        server
            .metrics()
            .await
            .sum("fanfare_tls_reload_failures_total", &[])
    };
    eventually("the expiry to be exported", || async {
        let metrics = server.metrics().await;
        let expiry = metrics.sum(
            "fanfare_tls_certificate_expiry_seconds",
            &[("name", "relay.test")],
        );
        (expiry > 0.0).then_some(())
    })
    .await;
    fs::write(certificates.certificate("relay"), "no certificate").unwrap();
    eventually("the failure to be counted", || async {
        (failures().await == 1.0).then_some(())
    })
    .await;
    let config = client(certificates.roots(), BOTH);
    shake_hands(server.tls_authority(), &config, "relay.test")
        .await
        .unwrap();
    let complaints = || {
        let is_it = |line: &&String| line.contains("(tls.certificate) cannot be used");
        server.log().iter().filter(is_it).count()
    };
    eventually("the failure in the log", || async {
        (complaints() > 0).then_some(())
    })
    .await;
    assert_eq!(complaints(), 1);
    server.finish().await;
}

#[tokio::test]
async fn the_expiry_is_that_of_the_names_that_are_served() {
    let (server, certificates) = or_skip!(server::start().await);
    let expiry = async |name: &str| {
        let metrics = server.metrics().await;
        metrics.sum("fanfare_tls_certificate_expiry_seconds", &[("name", name)])
    };
    eventually("the expiry to be exported", || async {
        (expiry("relay.test").await > 0.0).then_some(())
    })
    .await;
    certificates.issue("relay", &["first.test", "second.test"]);
    eventually("other names to be served", || async {
        (expiry("first.test").await > 0.0 && expiry("second.test").await > 0.0).then_some(())
    })
    .await;
    eventually("the name that is gone to go", || async {
        (expiry("relay.test").await == 0.0).then_some(())
    })
    .await;
    server.finish().await;
}
