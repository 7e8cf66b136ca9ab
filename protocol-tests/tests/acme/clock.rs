//! A machine whose clock is wrong has no certificate issued that it could not serve.

use std::sync::Arc;

use protocol_tests::or_skip;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::pebble::{Habits, Pebble};
use crate::support::{expect_logged, expect_orders};

/// Passes requests on to an authority, and its answers back with another time in them. Dropping it ends it.
pub(crate) struct Shifted {
    authority: String,
    task: JoinHandle<()>,
}

/// The two ways of a connection: to who asks, and to who answers.
#[derive(Clone)]
struct Ways {
    acceptor: TlsAcceptor,
    connector: TlsConnector,
    target: String,
    date: &'static str,
}

impl Shifted {
    /// `identity` is the authority's certificate and key.
    pub(crate) async fn start(
        (certificate, key): (Vec<u8>, Vec<u8>),
        target: String,
        date: &'static str,
    ) -> Shifted {
        let certificate = CertificateDer::from_pem_slice(&certificate).unwrap();
        let key = PrivateKeyDer::from_pem_slice(&key).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let server = server.with_safe_default_protocol_versions().unwrap();
        let server = server.with_no_client_auth();
        let server = server.with_single_cert(vec![certificate.clone()], key);
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        let client = ClientConfig::builder_with_provider(provider);
        let client = client.with_safe_default_protocol_versions().unwrap();
        let client = client.with_root_certificates(roots).with_no_client_auth();
        let ways = Ways {
            acceptor: TlsAcceptor::from(Arc::new(server.unwrap())),
            connector: TlsConnector::from(Arc::new(client)),
            target,
            date,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(pass(ways.clone(), stream));
            }
        });
        Shifted { authority, task }
    }

    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }
}

impl Drop for Shifted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Whoever goes away ends this.
async fn pass(ways: Ways, stream: TcpStream) -> std::io::Result<()> {
    let asks = ways.acceptor.accept(stream).await?;
    let stream = TcpStream::connect(&ways.target).await?;
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let answers = ways.connector.connect(name, stream).await?;
    let (mut requests, mut to_asker) = tokio::io::split(asks);
    let (mut from_authority, mut to_authority) = tokio::io::split(answers);
    let answers = async {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = from_authority.read(&mut buffer).await?;
            if read == 0 {
                return std::io::Result::Ok(());
            }
            set_date(&mut buffer[..read], ways.date);
            to_asker.write_all(&buffer[..read]).await?;
        }
    };
    tokio::select! {
        ended = answers => ended,
        ended = tokio::io::copy(&mut requests, &mut to_authority) => ended.map(drop),
    }
}

/// Writes another time over that of an answer's head: all are as long.
fn set_date(answer: &mut [u8], date: &str) {
    const FIELD: &[u8] = b"\r\nDate: ";
    let field = answer.windows(FIELD.len()).position(|it| it == FIELD);
    if let Some(field) = field {
        let start = field + FIELD.len();
        answer[start..start + date.len()].copy_from_slice(date.as_bytes());
    }
}

/// What comes of an order from an authority that says that it is another time.
async fn expect_refusal(date: &'static str, named: &str) {
    let pebble = Pebble::start(Habits::default()).await;
    let shifted = pebble.set_clock(date).await;
    let state = tempfile::tempdir().unwrap();
    let server = pebble.server("http-01", &["a.test"], state.path());
    let server = or_skip!(server.start().await);
    pebble.point_to(&server);
    expect_orders(&server, "unusable", 1.0).await;
    let line = expect_logged(&server, "no certificate was issued", 1)
        .await
        .remove(0);
    let reason = line["reason"].as_str().unwrap();
    assert!(reason.contains(named), "{reason}");
    assert!(!pebble.has_issued());
    drop(shifted);
    server.finish().await;
}

#[tokio::test]
async fn a_clock_that_is_far_behind_is_named_and_nothing_is_issued() {
    expect_refusal("Fri, 31 Dec 9999 23:59:59 GMT", "behind the directory's").await;
}

#[tokio::test]
async fn a_clock_that_is_far_ahead_is_named_and_nothing_is_issued() {
    expect_refusal("Thu, 01 Jan 1970 00:00:00 GMT", "ahead of the directory's").await;
}
