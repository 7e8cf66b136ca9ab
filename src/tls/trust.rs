//! Whether clients will trust a certificate, by the word of which authorities.

use std::sync::Arc;
use std::time::SystemTime;

use rustls::client::danger::ServerCertVerifier as _;
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, RootCertStore};

use super::certificate::{Certificate, Chain, provider};
use super::name::Name;

/// What a host is called under a name that is for all hosts beside it.
const ANY_HOST: &str = "host";

/// The authorities that this system trusts.
pub fn system_authorities() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

/// What keeps clients from trusting a certificate with its chain, which know these authorities. Where the chain itself says
/// that it is no authority's, or lacks one, there is nothing to add.
pub fn distrust(
    certificate: &Certificate,
    authorities: RootCertStore,
    now: SystemTime,
) -> Option<String> {
    let Chain::Ordered { issuer } = certificate.chain() else {
        return None;
    };
    let chain = &certificate.key().cert;
    let mut last = RootCertStore::empty();
    last.add(chain.last()?.clone()).ok()?;
    // That it has expired, or does not hold yet, is another matter.
    let now = now.clamp(certificate.not_before(), certificate.not_after());
    if let Err(error) = verify(certificate, chain, last, now) {
        return Some(format!(
            "its chain is broken, and clients refuse it: {error}"
        ));
    }
    match verify(certificate, chain, authorities, now) {
        Err(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => Some(format!(
            "no authority that this system trusts is {issuer}, or has issued it: clients that were not given that one \
             refuse it"
        )),
        _ => None,
    }
}

fn verify(
    certificate: &Certificate,
    chain: &[CertificateDer<'static>],
    authorities: RootCertStore,
    now: SystemTime,
) -> Result<(), rustls::Error> {
    let [own, issuers @ ..] = chain else {
        return Ok(());
    };
    // Without a name there is nothing that it could be asked about.
    let Some(host) = certificate.names().first().and_then(host) else {
        return Ok(());
    };
    let unknown = || rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
    let provider = Arc::new(provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(authorities), provider)
        .build()
        .map_err(|_| unknown())?;
    let since_1970 = now.duration_since(SystemTime::UNIX_EPOCH);
    let now = UnixTime::since_unix_epoch(since_1970.unwrap_or_default());
    match verifier.verify_server_cert(own, issuers, &host, &[], now) {
        // The operator has given it other names.
        Err(error) if !is_of_name(&error) => Err(error),
        _ => Ok(()),
    }
}

/// Those of the names that a certificate is used for which it is not for: clients that ask for them refuse it.
pub(super) fn unfit_names(certificate: &Certificate) -> Vec<&Name> {
    let own = certificate.key().cert.first();
    let Some(Ok(own)) = own.map(ParsedCertificate::try_from) else {
        return Vec::new();
    };
    let is_unfit = |name: &&Name| {
        host(name).is_some_and(|host| {
            verify_server_name(&own, &host).is_err_and(|error| is_of_name(&error))
        })
    };
    certificate.names().iter().filter(is_unfit).collect()
}

/// A host of that name, for clients to ask for.
fn host(name: &Name) -> Option<ServerName<'static>> {
    let host = name.as_str().replacen('*', ANY_HOST, 1);
    ServerName::try_from(host).ok()
}

fn is_of_name(error: &rustls::Error) -> bool {
    matches!(
        error,
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )
    )
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

    use super::*;

    /// An authority, and what issues in its name.
    fn authority() -> (rcgen::Certificate, Issuer<'static, KeyPair>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = "An Authority";
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        let certificate = params.self_signed(&key).unwrap();
        (certificate, Issuer::new(params, key))
    }

    fn issued(by: &Issuer<'static, KeyPair>, name: &str, followed_by: &str) -> Certificate {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let own = params.signed_by(&key, by).unwrap();
        let chain = own.pem() + followed_by;
        Certificate::from_pem(chain.as_bytes(), key.serialize_pem().as_bytes()).unwrap()
    }

    fn trusting(authority: &rcgen::Certificate) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        roots
    }

    #[test]
    fn a_chain_is_trusted_whose_signatures_are_those_of_a_known_authority() {
        let (known, issuer) = authority();
        let now = SystemTime::now();
        for name in ["a.example", "*.example"] {
            let certificate = issued(&issuer, name, &known.pem());
            assert_eq!(distrust(&certificate, trusting(&known), now), None);
            let renamed = certificate.only_for(vec![crate::tls::Name::parse("b.org").unwrap()]);
            assert_eq!(distrust(&renamed, trusting(&known), now), None);
        }
    }

    #[test]
    fn a_chain_is_not_trusted_whose_signatures_are_not_those_of_its_names() {
        let (known, _) = authority();
        let (_, other) = authority();
        let certificate = issued(&other, "a.example", &known.pem());
        let reason = distrust(&certificate, trusting(&known), SystemTime::now()).unwrap();
        assert!(reason.contains("its chain is broken"), "{reason}");
    }

    #[test]
    fn an_authority_that_is_not_known_is_named() {
        let (unknown, issuer) = authority();
        let (known, _) = {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec![]).unwrap();
            (params.self_signed(&key).unwrap(), key)
        };
        let certificate = issued(&issuer, "a.example", &unknown.pem());
        let now = SystemTime::now();
        for authorities in [trusting(&known), RootCertStore::empty()] {
            let reason = distrust(&certificate, authorities, now).unwrap();
            assert!(reason.contains("no authority that this system trusts is"));
            assert!(reason.contains("An Authority"), "{reason}");
        }
    }
}
