//! TLS.

use reqwest::Certificate;

use crate::Invalid;

/// Makes rustls work with ring, unless another part of the process has chosen something before:
/// that is as good.
pub(crate) fn choose_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The certificates in a text; the error names `ca_certificates`.
pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<Certificate>, Invalid> {
    let invalid = |reason: String| Invalid::new("ca_certificates", reason);
    match Certificate::from_pem_bundle(pem) {
        Ok(certificates) if certificates.is_empty() => {
            Err(invalid("there is no PEM certificate in it".into()))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(invalid(error.to_string())),
    }
}
