//! Proving to an authority that names are ours. What is shown is taken back when the proof is dropped.

use std::sync::Arc;

use instant_acme::{ChallengeType, KeyAuthorization};
use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256,
};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::CertifiedKey;

use super::answers::Answers;
use super::settings::Challenge;
use crate::tls::{Certificates, Name};

/// The means to prove it.
#[derive(Clone, Debug)]
pub(super) enum Prover {
    /// With a certificate that is shown to the authority alone.
    TlsAlpn01(Arc<Certificates>),
    /// With an answer over HTTP.
    Http01(Answers),
}

/// Something is shown as long as this lives.
#[derive(Debug)]
pub(super) enum Proof {
    TlsAlpn01(Arc<Certificates>, Name),
    Http01(Answers, String),
}

impl Prover {
    pub(super) fn new(
        challenge: Challenge,
        certificates: Arc<Certificates>,
        answers: Answers,
    ) -> Self {
        match challenge {
            Challenge::TlsAlpn01 => Self::TlsAlpn01(certificates),
            Challenge::Http01 => Self::Http01(answers),
        }
    }

    /// Which of the directory's offers is taken.
    pub(super) fn challenge(&self) -> ChallengeType {
        match self {
            Self::TlsAlpn01(_) => ChallengeType::TlsAlpn01,
            Self::Http01(_) => ChallengeType::Http01,
        }
    }

    /// Shows that the name is ours; `None` if that cannot be shown with such a token.
    pub(super) fn prove(
        &self,
        name: &Name,
        token: &str,
        answer: &KeyAuthorization,
    ) -> Option<Proof> {
        match self {
            Self::TlsAlpn01(certificates) => {
                let key = challenge_certificate(name, answer.digest().as_ref())?;
                certificates.set_challenge(name.clone(), key);
                Some(Proof::TlsAlpn01(Arc::clone(certificates), name.clone()))
            }
            Self::Http01(answers) => answers
                .give(token, answer.as_str())
                .then(|| Proof::Http01(answers.clone(), token.to_owned())),
        }
    }
}

impl Drop for Proof {
    fn drop(&mut self) {
        match self {
            Self::TlsAlpn01(certificates, name) => certificates.remove_challenge(name),
            Self::Http01(answers, token) => answers.withdraw(token),
        }
    }
}

/// A certificate for the name with the digest of the answer in it (RFC 8737, 3); `None` if there are no
/// random numbers, or the digest is none.
fn challenge_certificate(name: &Name, digest: &[u8]) -> Option<CertifiedKey> {
    const SHA_256_BYTES: usize = 32;
    if digest.len() != SHA_256_BYTES {
        return None;
    }
    let mut params = CertificateParams::new(vec![name.as_str().to_owned()]).ok()?;
    params.distinguished_name = DistinguishedName::new();
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).ok()?;
    let certificate = params.self_signed(&key).ok()?;
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let key = any_supported_type(&key).ok()?;
    // Whether they fit together is not looked at: the digest's extension is one that rustls does not know, and
    // would refuse to read past.
    Some(CertifiedKey::new(vec![certificate.der().clone()], key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_certificate_has_the_digest_and_a_digest_only() {
        let name = Name::parse("relay.example").unwrap();
        let key = challenge_certificate(&name, &[7; 32]).unwrap();
        let der = key.cert[0].as_ref();
        // The extension's identifier, that it is critical, and the digest.
        let extension = [
            &b"\x06\x08\x2b\x06\x01\x05\x05\x07\x01\x1f\x01\x01\xff\x04\x22\x04\x20"[..],
            &[7; 32],
        ];
        let extension = extension.concat();
        assert!(der.windows(extension.len()).any(|it| it == extension));
        assert!(challenge_certificate(&name, &[7; 31]).is_none());
    }
}
