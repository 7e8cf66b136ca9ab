//! A relay that speaks TLS, with a certificate that no authority has issued.

use std::fs;
use std::path::{Path, PathBuf};

use protocol_tests::TestServer;
use serde_json::Value;

pub(crate) struct Secured {
    pub(crate) server: TestServer,
    certificate: PathBuf,
    _files: tempfile::TempDir,
}

impl Secured {
    pub(crate) async fn start() -> Secured {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let files = tempfile::tempdir().unwrap();
        let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| files.path().join(name));
        fs::write(&certificate, made.cert.pem()).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let server = TestServer::builder()
            .set("tls.listen", "127.0.0.1:0")
            .set("tls.certificate", certificate.to_str().unwrap())
            .set("tls.key", key.to_str().unwrap())
            .start()
            .await;
        Secured {
            server: server.expect("TLS needs a relay of its own"),
            certificate,
            _files: files,
        }
    }

    /// The file with its certificate.
    pub(crate) fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// Where it speaks TLS: `127.0.0.1:port`.
    pub(crate) fn authority(&self) -> String {
        let log = self.server.log();
        let lines = log
            .iter()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut listening = lines.filter(|line| line["listener"] == "tls");
        let line = listening.next().expect("the address is logged");
        line["address"].as_str().unwrap().to_owned()
    }

    /// How many connections over TLS there were.
    pub(crate) async fn handshakes(&self) -> f64 {
        let metrics = self.server.metrics().await;
        metrics.sum("fanfare_tls_handshakes_total", &[("outcome", "full")])
    }
}
