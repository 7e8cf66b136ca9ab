//! TLS, with a certificate that the server has signed itself.

use std::sync::Arc;

use publisher::{Channel, Client, Config, Error, Event, Retry, Scheme};
use rustls::ServerConfig;
use rustls::crypto::ring;
use tokio_rustls::TlsAcceptor;

use crate::server::Server;

/// A server at `https://localhost`, and its certificate in PEM.
async fn server() -> (Server, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = made.signing_key.serialize_der().try_into().unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let server = Server::over_tls(TlsAcceptor::from(Arc::new(config))).await;
    (server, made.cert.pem())
}

/// Publishes to this host with these certificates.
async fn publish(server: &Server, host: &str, ca_certificates: Option<&str>) -> Result<(), Error> {
    let config = Config::new("app", "key", "secret")
        .host(host)
        .port(server.port())
        .retry(Retry::none());
    let config = match ca_certificates {
        Some(pem) => config.ca_certificates(pem),
        None => config,
    };
    let client = Client::new(config).unwrap();
    let event = Event::text("e", "");
    client
        .trigger(&[Channel::public("c")], &event)
        .await
        .map(drop)
}

#[tokio::test]
async fn a_certificate_must_be_trusted_and_that_of_the_host() {
    let (server, certificate) = server().await;
    publish(&server, "localhost", Some(&certificate))
        .await
        .unwrap();
    assert_eq!(server.only_request().path, "/apps/app/events");

    for (host, certificates) in [("localhost", None), ("127.0.0.1", Some(&*certificate))] {
        let error = publish(&server, host, certificates).await.unwrap_err();
        assert!(error.to_string().contains("certificate"), "{error}");
    }
    server.only_request();
}

#[test]
fn certificates_that_are_none_are_named() {
    for pem in [
        "",
        "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
    ] {
        let config = Config::new("app", "key", "secret").scheme(Scheme::Https);
        let error = Client::new(config.ca_certificates(pem)).unwrap_err();
        assert_eq!(error.field, "ca_certificates", "{pem}");
    }
}
