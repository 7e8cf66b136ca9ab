//! The way to a relay that speaks TLS with a certificate of its own.

use std::{fs, slice};

use protocol_tests::Secured;
use publisher::{Client, Config, Error, Event, Retry};

use crate::support::{channel, host_and_port};

#[tokio::test]
async fn a_relay_is_published_to_over_tls_if_its_certificate_is_trusted() {
    let secured = Secured::start().await;
    let server = &secured.server;
    let channel = channel(server, "https-");
    let mut subscriber = server.connect().await;
    subscriber.subscribe(channel.name()).await;
    let (app, (host, port)) = (server.app(), host_and_port(secured.authority()));
    let config = Config::new(&app.id, &app.key, &app.secret)
        .host(host)
        .port(port)
        .retry(Retry::none());
    let event = Event::text("one", "naïve ☕");

    let stranger = Client::new(config.clone()).unwrap();
    let error = stranger.trigger(slice::from_ref(&channel), &event).await;
    let error = error.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    assert!(error.to_string().contains("certificate"), "{error}");
    assert_eq!(secured.handshakes().await, 0.0);

    let config = config.ca_certificates(fs::read(secured.certificate()).unwrap());
    let client = Client::new(config).unwrap();
    client
        .trigger(slice::from_ref(&channel), &event)
        .await
        .unwrap();
    let received = subscriber.expect_event_on(channel.name(), "one").await;
    assert_eq!(received.data_text(), "naïve ☕");
    assert_eq!(secured.handshakes().await, 1.0);
    secured.finish().await;
}
