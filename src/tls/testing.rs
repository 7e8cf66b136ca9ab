//! Connections to test with.

use std::io::Read as _;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};
use tokio::net::TcpStream;

use super::agreement::{Minimum, server_config};
use super::certificate::{provider, testing::self_signed};
use super::{Acceptor, Certificates, WriteHalf};
use crate::metrics::{Gauge, Metrics};

/// What is written to a client, whose keys are used up after so many records, and all that the client reads.
pub(crate) async fn wearing_out_after(
    records: u64,
    version: &'static SupportedProtocolVersion,
    server: TcpStream,
    client: TcpStream,
) -> (WriteHalf, JoinHandle<String>) {
    let certificates = Certificates::new(Gauge::default());
    let certificate = self_signed(&["relay.test"]);
    let mut roots = RootCertStore::empty();
    roots.add(certificate.key().cert[0].clone()).unwrap();
    certificates.put(certificates.add_place("tls.certificate"), certificate);
    let config = server_config(certificates, Minimum::Tls12, false).unwrap();
    let config = Arc::new(config);
    let outcomes = Metrics::new().process().tls_handshakes.clone();
    let acceptor = Acceptor::new(config, Duration::from_secs(10), outcomes, Gauge::default());
    let client = reading(client, roots, version);
    let (mut socket, _) = acceptor.accept(server, None).await.unwrap();
    socket.wear_out_after(records);
    let (_reader, writer, _) = socket.into_halves();
    (writer, client)
}

fn reading(
    client: TcpStream,
    roots: RootCertStore,
    version: &'static SupportedProtocolVersion,
) -> JoinHandle<String> {
    let config = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("relay.test").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let socket = client.into_std().unwrap();
    socket.set_nonblocking(false).unwrap();
    std::thread::spawn(move || {
        let mut received = Vec::new();
        // The end is one without a farewell, as that of a connection which is dropped.
        let _ended = StreamOwned::new(connection, socket).read_to_end(&mut received);
        String::from_utf8_lossy(&received).into_owned()
    })
}
