//! Directories that do not keep to the protocol.

use std::fs;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// Answers every request over HTTPS with the same bytes. Dropping it ends it.
pub(crate) struct Liar {
    directory: TempDir,
    authority: String,
    task: JoinHandle<()>,
}

impl Liar {
    /// `repeated` is written again and again behind the answer, until nobody takes it any more.
    pub(crate) async fn start(answer: &str, repeated: &'static [u8]) -> Liar {
        let directory = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = certificate.self_signed(&key).unwrap();
        fs::write(directory.path().join("certificate.pem"), certificate.pem()).unwrap();
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let answer = answer.to_owned();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(acceptor.clone(), stream, answer.clone(), repeated));
            }
        });
        Liar {
            directory,
            authority,
            task,
        }
    }

    /// Where its directory is.
    pub(crate) fn url(&self) -> String {
        format!("https://{}/dir", self.authority)
    }

    /// The file with the certificate by which it is trusted.
    pub(crate) fn certificate(&self) -> String {
        let path = self.directory.path().join("certificate.pem");
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(acceptor: TlsAcceptor, stream: TcpStream, answer: String, repeated: &[u8]) {
    // Whoever goes away ends this.
    let Ok(mut stream) = acceptor.accept(stream).await else {
        return;
    };
    let mut request = [0; 4096];
    let Ok(1..) = stream.read(&mut request).await else {
        return;
    };
    let mut written = stream.write_all(answer.as_bytes()).await;
    while written.is_ok() && !repeated.is_empty() {
        written = stream.write_all(repeated).await;
    }
    let _closed = stream.shutdown().await;
}
