//! A server that speaks TLS, with a certificate that no authority has issued.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::server::{TestServer, TestServerBuilder};

/// A server that speaks TLS, beside its plain listener, with a certificate of its own for 127.0.0.1.
#[derive(Debug)]
pub struct Secured {
    /// The server.
    pub server: TestServer,
    certificate: PathBuf,
    // Removed with this value: the certificate and its key.
    _files: TempDir,
}

impl Secured {
    /// One with every other setting at its default.
    ///
    /// # Panics
    /// When the server is foreign: its certificates are its own.
    pub async fn start() -> Secured {
        Secured::start_with(TestServer::builder()).await
    }

    /// One that is set up otherwise, too; panics as [`start`](Self::start) does.
    pub async fn start_with(builder: TestServerBuilder) -> Secured {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])
            .expect("a certificate can be made");
        let files = tempfile::tempdir().expect("the temporary directory is writable");
        let file = |name: &str, content: String| {
            let path = files.path().join(name);
            fs::write(&path, content).expect("the temporary directory is writable");
            path.to_str().expect("its name is text").to_owned()
        };
        let server = builder
            .set("tls.listen", "127.0.0.1:0")
            .set("tls.certificate", file("certificate.pem", made.cert.pem()))
            .set("tls.key", file("key.pem", made.signing_key.serialize_pem()))
            .start()
            .await;
        Secured {
            server: server.expect("TLS needs a server of its own"),
            certificate: files.path().join("certificate.pem"),
            _files: files,
        }
    }

    /// The file with its certificate.
    pub fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// Where it speaks TLS: `127.0.0.1:port`.
    pub fn authority(&self) -> &str {
        self.server.tls_authority()
    }

    /// How many clients have agreed on TLS without keys of an earlier connection.
    pub async fn handshakes(&self) -> f64 {
        let metrics = self.server.metrics().await;
        metrics.sum("fanfare_tls_handshakes_total", &[("outcome", "full")])
    }

    /// Ends the server as [`TestServer::finish`] does.
    pub async fn finish(self) {
        self.server.finish().await;
    }
}
