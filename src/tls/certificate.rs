//! One certificate with its chain and its key.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::name::Name;

/// A certificate with its chain and its key, which fit together.
#[derive(Clone, Debug)]
pub struct Certificate {
    key: Arc<CertifiedKey>,
    names: Vec<Name>,
    not_before: SystemTime,
    not_after: SystemTime,
    chain: Chain,
}

/// What the chain behind a certificate is worth to a client that knows no more than the authorities' own
/// certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chain {
    /// Every certificate is followed by that of its issuer; the last one's issuer is this.
    Ordered {
        /// The issuer of the last one.
        issuer: String,
    },
    /// The certificate is its own issuer: only clients that were given it trust it.
    SelfSigned,
    /// There is nothing behind a certificate that an authority issued.
    Alone {
        /// Its issuer.
        issuer: String,
    },
}

/// Why certificates and a key are none that can be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// There is no certificate.
    #[error("it holds no certificate in PEM (-----BEGIN CERTIFICATE-----)")]
    NoCertificate,
    /// A certificate cannot be read.
    #[error("certificate {position} of it cannot be read: {reason}")]
    BadCertificate {
        /// Which one, from 1.
        position: usize,
        /// What is wrong.
        reason: String,
    },
    /// The chain does not fit together.
    #[error(
        "certificate {position} of it ({subject}) is not the issuer of the one before, which is {issuer}: \
         the server's own certificate comes first, then its issuer's, and so on"
    )]
    Disordered {
        /// The one that does not fit, from 1.
        position: usize,
        /// Whose it is.
        subject: String,
        /// Whose was expected.
        issuer: String,
    },
    /// There is no key.
    #[error(
        "it holds no private key in PEM without a password (-----BEGIN PRIVATE KEY-----, RSA or EC PRIVATE KEY)"
    )]
    NoKey,
    /// The key is of a kind that is not served.
    #[error("its key cannot be used: {0}")]
    BadKey(String),
    /// The key is not that of the certificate.
    #[error("it is not the key of the certificate")]
    OtherKey,
    /// It names nobody.
    #[error("the certificate has no name of a host (subjectAltName), which clients ask for")]
    NoName,
}

impl CertificateError {
    /// Whether the key is to blame, and not the certificate.
    pub fn is_of_key(&self) -> bool {
        matches!(self, Self::NoKey | Self::BadKey(_) | Self::OtherKey)
    }
}

/// How much is left of a certificate that holds for so long in all when somebody should know that it was not renewed. It is
/// time for that when a third is left, and of one that holds for days or hours only, this is late.
pub fn renewal_notice(holds_for: Duration) -> Duration {
    const LONGEST: Duration = Duration::from_secs(14 * 24 * 3600);
    LONGEST.min(holds_for / 6)
}

impl Certificate {
    /// Of the text of two files in PEM.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        let mut certificates = Vec::new();
        for (index, certificate) in CertificateDer::pem_slice_iter(chain).enumerate() {
            let unreadable = |error: rustls::pki_types::pem::Error| bad(index + 1, error);
            certificates.push(certificate.map_err(unreadable)?);
        }
        if certificates.is_empty() {
            return Err(CertificateError::NoCertificate);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| CertificateError::NoKey)?;
        Self::from_der(certificates, key)
    }

    /// Of certificates in the order in which they are sent, the server's own first, and its key.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn from_der(
        certificates: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, CertificateError> {
        let read = Facts::of(&certificates)?;
        let key = certified(certificates, key)?;
        Ok(Self {
            key: Arc::new(key),
            names: read.names,
            not_before: read.not_before,
            not_after: read.not_after,
            chain: read.chain,
        })
    }

    /// The same, for these names alone, whatever it says itself.
    pub fn only_for(self, names: Vec<Name>) -> Self {
        Self { names, ..self }
    }

    /// What is handed to clients.
    pub fn key(&self) -> &Arc<CertifiedKey> {
        &self.key
    }

    /// The names that it is for: those that it has itself, or those that were asked for.
    pub fn names(&self) -> &[Name] {
        &self.names
    }

    /// When it begins to hold.
    pub fn not_before(&self) -> SystemTime {
        self.not_before
    }

    /// When it expires.
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// What stands behind it.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }
}

/// A chain and its key, for a client. Nothing is asked of the certificate but that the key is its own.
///
/// # Errors
/// When the key is none that can be used, or another's.
fn certified(
    certificates: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, CertificateError> {
    CertifiedKey::from_der(certificates, key, &provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => CertificateError::OtherKey,
        error => CertificateError::BadKey(error.to_string()),
    })
}

/// The cryptography that everything here uses.
pub(super) fn provider() -> CryptoProvider {
    rustls::crypto::ring::default_provider()
}

/// What is read of a chain.
struct Facts {
    names: Vec<Name>,
    not_before: SystemTime,
    not_after: SystemTime,
    chain: Chain,
}

impl Facts {
    fn of(certificates: &[CertificateDer<'_>]) -> Result<Self, CertificateError> {
        let mut read = Vec::new();
        for (index, certificate) in certificates.iter().enumerate() {
            let (_, certificate) =
                X509Certificate::from_der(certificate).map_err(|error| bad(index + 1, error))?;
            read.push(certificate);
        }
        let [own, issuers @ ..] = &read[..] else {
            return Err(CertificateError::NoCertificate);
        };
        for (index, pair) in read.windows(2).enumerate() {
            if pair[0].issuer().as_raw() != pair[1].subject().as_raw() {
                return Err(CertificateError::Disordered {
                    position: index + 2,
                    subject: pair[1].subject().to_string(),
                    issuer: pair[0].issuer().to_string(),
                });
            }
        }
        let last = issuers.last().unwrap_or(own);
        let issuer = last.issuer().to_string();
        let is_root = last.issuer().as_raw() == last.subject().as_raw();
        let chain = match (issuers.is_empty(), is_root) {
            (true, true) => Chain::SelfSigned,
            (true, false) => Chain::Alone { issuer },
            (false, _) => Chain::Ordered { issuer },
        };
        Ok(Self {
            names: names(own)?,
            not_before: time(own.validity().not_before.timestamp()),
            not_after: time(own.validity().not_after.timestamp()),
            chain,
        })
    }
}

fn bad(position: usize, error: impl ToString) -> CertificateError {
    CertificateError::BadCertificate {
        position,
        reason: error.to_string(),
    }
}

/// The names of hosts in its subjectAltName; nothing else counts to clients.
fn names(certificate: &X509Certificate<'_>) -> Result<Vec<Name>, CertificateError> {
    let extension = certificate
        .subject_alternative_name()
        .map_err(|error| bad(1, error))?;
    let all = extension.iter().flat_map(|it| &it.value.general_names);
    let mut has_address = false;
    let names: Vec<Name> = all
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Name::parse(name),
            GeneralName::IPAddress(_) => {
                // Clients that connect to an address ask for no name, and are given the default.
                has_address = true;
                None
            }
            _ => None,
        })
        .collect();
    if names.is_empty() && !has_address {
        return Err(CertificateError::NoName);
    }
    Ok(names)
}

fn time(seconds: i64) -> SystemTime {
    let duration = Duration::from_secs(seconds.unsigned_abs());
    let time = match seconds {
        0.. => SystemTime::UNIX_EPOCH.checked_add(duration),
        _ => SystemTime::UNIX_EPOCH.checked_sub(duration),
    };
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Certificates to test with.
#[cfg(test)]
pub(super) mod testing {
    use super::*;

    impl Certificate {
        /// The same, as if it expired in so long.
        pub(crate) fn expiring_in(self, left: Duration) -> Self {
            let not_after = SystemTime::now() + left;
            Self { not_after, ..self }
        }
    }

    pub(crate) fn self_signed(names: &[&str]) -> Certificate {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let key = made.signing_key.serialize_pem();
        Certificate::from_pem(made.cert.pem().as_bytes(), key.as_bytes()).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

    use super::*;

    #[test]
    fn what_holds_for_days_only_is_late_when_hours_are_left() {
        let days = |days: u64| Duration::from_secs(days * 24 * 3600);
        assert_eq!(renewal_notice(days(365)), days(14));
        assert_eq!(renewal_notice(days(90)), days(14));
        assert_eq!(renewal_notice(days(6)), days(1));
        let half_a_day = Duration::from_secs(12 * 3600);
        assert_eq!(renewal_notice(half_a_day), Duration::from_secs(2 * 3600));
    }

    /// An authority's certificate, and one that it issued for `a.example`, in PEM.
    struct Made {
        authority: String,
        own: String,
        key: String,
    }

    fn made() -> Made {
        let authority_key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "An Authority");
        let authority = params.self_signed(&authority_key).unwrap().pem();
        let issuer = Issuer::new(params, authority_key);
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["a.example".into()]).unwrap();
        let own = params.signed_by(&key, &issuer).unwrap().pem();
        Made {
            authority,
            own,
            key: key.serialize_pem(),
        }
    }

    fn read(chain: &str, key: &str) -> Result<Certificate, CertificateError> {
        Certificate::from_pem(chain.as_bytes(), key.as_bytes())
    }

    #[test]
    fn a_chain_is_that_of_its_issuers_in_order() {
        let Made {
            authority,
            own,
            key,
        } = made();
        let ordered = read(&format!("{own}{authority}"), &key).unwrap();
        assert!(matches!(ordered.chain(), Chain::Ordered { .. }));
        assert_eq!(ordered.names(), [Name::parse("a.example").unwrap()]);
        assert!(ordered.not_before() < ordered.not_after());
        let alone = read(&own, &key).unwrap();
        assert!(
            matches!(alone.chain(), Chain::Alone { issuer } if issuer.contains("An Authority"))
        );
        let twice = read(&format!("{own}{own}"), &key);
        assert!(matches!(
            twice,
            Err(CertificateError::Disordered { position: 2, .. })
        ));
        assert_eq!(testing::self_signed(&["a"]).chain(), &Chain::SelfSigned);
    }

    #[test]
    fn a_key_is_that_of_its_certificate() {
        let (one, other) = (made(), made());
        assert_eq!(
            read(&one.own, &other.key).unwrap_err(),
            CertificateError::OtherKey
        );
        assert_eq!(
            read(&one.own, &one.own).unwrap_err(),
            CertificateError::NoKey
        );
        assert_eq!(
            read(&one.key, &one.key).unwrap_err(),
            CertificateError::NoCertificate
        );
        assert_eq!(read("", "").unwrap_err(), CertificateError::NoCertificate);
        let broken = one.own.replacen('M', "", 4);
        assert!(matches!(
            read(&broken, &one.key),
            Err(CertificateError::BadCertificate { position: 1, .. })
        ));
    }
}
