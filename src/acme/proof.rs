//! Proving to an authority that names are ours. What is shown is taken back when the proof is dropped.

use std::sync::Arc;

use instant_acme::ChallengeType;
use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256,
};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::CertifiedKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::answers::Answers;
use super::settings::Challenge;
use crate::tls::{Certificates, Name};

/// What an authority wants to be shown for a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shown {
    /// The name.
    pub(super) name: Box<str>,
    /// What the authority asks for.
    pub(super) token: Box<str>,
    /// The answer (RFC 8555, 8.1).
    pub(super) key_authorization: Box<str>,
}

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
    Http01(Answers, Box<str>),
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

    /// Shows that the name is ours; `None` if that cannot be shown for such a name or with such a token.
    pub(super) fn prove(&self, shown: &Shown) -> Option<Proof> {
        match self {
            Self::TlsAlpn01(certificates) => {
                let name = Name::parse(&shown.name)?;
                let digest = Sha256::digest(shown.key_authorization.as_bytes());
                let key = challenge_certificate(&name, &digest.into())?;
                certificates.set_challenge(name.clone(), key);
                Some(Proof::TlsAlpn01(Arc::clone(certificates), name))
            }
            Self::Http01(answers) => answers
                .give(&shown.token, &shown.key_authorization)
                .then(|| Proof::Http01(answers.clone(), shown.token.clone())),
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

/// A certificate for the name with the SHA-256 digest of the answer in it (RFC 8737, 3); `None` if there are no
/// random numbers.
fn challenge_certificate(name: &Name, digest: &[u8; 32]) -> Option<CertifiedKey> {
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
    fn a_challenge_certificate_has_the_digest() {
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
    }
}
