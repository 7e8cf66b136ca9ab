//! TLS for the crate `pusher`, which brings none: it speaks over the client of hyper that its users hand it.

use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::Uri;
use hyper::client::connect::{Connected, Connection};
use hyper::service::Service;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Connects to `https://address:port`, and to nothing else.
#[derive(Clone)]
pub(crate) struct Connector(TlsConnector);

impl Connector {
    /// One that trusts the certificate of this file alone.
    pub(crate) fn trusting(certificate: &Path) -> Connector {
        let certificate = CertificateDer::from_pem_file(certificate);
        let mut roots = RootCertStore::empty();
        let added = roots.add(certificate.expect("there is a certificate in the file"));
        added.expect("it can be trusted");
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring knows these versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Connector(TlsConnector::from(Arc::new(config)))
    }
}

async fn connect(tls: TlsConnector, uri: Uri) -> io::Result<Stream> {
    assert_eq!(uri.scheme_str(), Some("https"), "{uri}");
    let authority = uri.authority().expect("it names a server");
    let name = ServerName::try_from(authority.host().to_owned());
    let name = name.expect("the server has an address");
    let tcp = TcpStream::connect(authority.as_str()).await?;
    tls.connect(name, tcp).await.map(Stream)
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(connect(self.0.clone(), uri))
    }
}

pub(crate) struct Stream(TlsStream<TcpStream>);

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
