//! A server that speaks TLS, and its certificates.

use std::fs;
use std::path::PathBuf;

use protocol_tests::subject::Endpoint;
use protocol_tests::{Connection, HttpClient, Request, Response, Skipped};
use protocol_tests::{TestServer, TestServerBuilder, Upgrade, WebSocket, WsClient};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::RootCertStore;

use crate::tunnel::Tunnel;

/// An authority, and a folder for what it issues.
pub(crate) struct Certificates {
    directory: tempfile::TempDir,
    authority: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Certificates {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&key).unwrap();
        Self {
            directory: tempfile::tempdir().unwrap(),
            authority,
            issuer: Issuer::new(params, key),
        }
    }

    /// Writes a certificate for the names, its chain and its key, in place of the last of this file name. Returns the
    /// certificate itself.
    pub(crate) fn issue(&self, file: &str, names: &[&str]) -> Vec<u8> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(names).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let chain = format!("{}{}", certificate.pem(), self.authority.pem());
        fs::write(self.key(file), key.serialize_pem()).unwrap();
        fs::write(self.certificate(file), chain).unwrap();
        certificate.der().to_vec()
    }

    pub(crate) fn certificate(&self, file: &str) -> PathBuf {
        self.directory.path().join(format!("{file}.pem"))
    }

    pub(crate) fn key(&self, file: &str) -> PathBuf {
        self.directory.path().join(format!("{file}.key"))
    }

    /// What a client trusts.
    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        roots
    }

    /// A server to be configured, with the certificate of this file name.
    pub(crate) fn builder(&self, file: &str) -> TestServerBuilder {
        let path = |path: PathBuf| path.to_str().unwrap().to_owned();
        TestServer::builder()
            .set("tls.listen", "127.0.0.1:0")
            .set("tls.certificate", path(self.certificate(file)))
            .set("tls.key", path(self.key(file)))
    }
}

/// A server with a certificate for `relay.test`, and what makes more.
pub(crate) async fn start() -> Result<(TestServer, Certificates), Skipped> {
    let certificates = Certificates::new();
    certificates.issue("relay", &["relay.test"]);
    let server = certificates.builder("relay").start().await?;
    Ok((server, certificates))
}

/// A client of the server's first app, by way of the tunnel.
pub(crate) async fn connect(server: &TestServer, tunnel: &Tunnel) -> WsClient {
    let target = format!(
        "/app/{}?protocol=7&client=tests&version=1.0",
        server.app().key
    );
    let connection = Connection::open(tunnel.authority()).await;
    let request = Upgrade::new(&target).encode("relay.test", "");
    let socket = WebSocket::open(connection, &request).await;
    let socket = socket.unwrap_or_else(|response| panic!("refused: {response:?}"));
    WsClient::establish(socket, server.app(), server.http()).await
}

/// Sends a request by way of the tunnel, on a connection of its own.
pub(crate) async fn send(tunnel: &Tunnel, request: &Request) -> Response {
    let endpoint = Endpoint {
        authority: tunnel.authority().to_owned(),
        prefix: String::new(),
    };
    HttpClient::new(endpoint).send(request).await
}

/// How many handshakes had this outcome.
pub(crate) async fn handshakes(server: &TestServer, outcome: &str) -> f64 {
    let metrics = server.metrics().await;
    metrics.sum("fanfare_tls_handshakes_total", &[("outcome", outcome)])
}
