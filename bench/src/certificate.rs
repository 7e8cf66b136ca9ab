//! A certificate that a server under test speaks TLS with.

use std::fs;
use std::net::SocketAddrV4;
use std::path::PathBuf;

use anyhow::Context;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::CertificateDer;
use tempfile::TempDir;

/// Whom it is for.
pub(crate) const NAME: &str = "localhost";

/// One that has signed itself, in files that are there as long as it is kept.
pub(crate) struct Certificate {
    files: TempDir,
    der: CertificateDer<'static>,
}

impl Certificate {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(vec![NAME.to_owned()])?.self_signed(&key)?;
        let files = tempfile::tempdir().context("a directory for a certificate")?;
        let kept = Self {
            files,
            der: CertificateDer::from(certificate.der().to_vec()),
        };
        fs::write(kept.file(), certificate.pem())?;
        fs::write(kept.key(), key.serialize_pem())?;
        Ok(kept)
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        self.der.clone()
    }

    /// As PEM; its own authority, too.
    pub(crate) fn file(&self) -> PathBuf {
        self.files.path().join("certificate.pem")
    }

    fn key(&self) -> PathBuf {
        self.files.path().join("key.pem")
    }

    /// What a Fanfare that speaks TLS there is configured with.
    pub(crate) fn variables(&self, address: SocketAddrV4) -> [(String, String); 3] {
        [
            ("FANFARE_TLS__LISTEN".into(), address.to_string()),
            (
                "FANFARE_TLS__CERTIFICATE".into(),
                self.file().display().to_string(),
            ),
            ("FANFARE_TLS__KEY".into(), self.key().display().to_string()),
        ]
    }
}
