//! What a server shows of certificates.

use rustls::RootCertStore;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use std::net::IpAddr;
use std::time::Duration;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::super::finding::{Finding, shown};
use crate::tls::renewal_notice;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// What can be seen of a certificate and its chain.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::doctor) struct Facts {
    /// Seconds since 1970.
    pub(in crate::doctor) not_before: i64,
    pub(in crate::doctor) not_after: i64,
    pub(in crate::doctor) names: Vec<String>,
    pub(in crate::doctor) is_for_host: bool,
    pub(in crate::doctor) chain: Chain,
}

#[derive(Clone, Debug, PartialEq)]
pub(in crate::doctor) enum Chain {
    /// It ends at an authority that is trusted here.
    Trusted,
    /// The certificate is its own issuer.
    SelfSigned,
    /// Nothing was sent but the certificate itself, whose issuer is no authority that is known here.
    Alone { issuer: String },
    /// It ends somewhere else.
    Foreign { issuer: String },
}

/// Looks at what a server has sent, its own certificate first. `None`: nothing that can be read.
pub(in crate::doctor) fn look(
    sent: &[CertificateDer<'static>],
    host: &str,
    roots: &RootCertStore,
) -> Option<Facts> {
    let (own, others) = sent.split_first()?;
    let (_, read) = X509Certificate::from_der(own).ok()?;
    let parsed = ParsedCertificate::try_from(own).ok()?;
    let name = ServerName::try_from(host.to_owned()).ok()?;
    let (from, to) = (
        read.validity().not_before.timestamp(),
        read.validity().not_after.timestamp(),
    );
    // Whether it is trusted has nothing to do with whether it has expired: both are said.
    let while_it_held = UnixTime::since_unix_epoch(Duration::from_secs(
        to.saturating_sub(1)
            .max(from)
            .try_into()
            .unwrap_or_default(),
    ));
    let trusted = verify_server_cert_signed_by_trust_anchor(
        &parsed,
        roots,
        others,
        while_it_held,
        ring::default_provider()
            .signature_verification_algorithms
            .all,
    );
    let issuer = read.issuer().to_string();
    let chain = match trusted {
        Ok(()) => Chain::Trusted,
        Err(_) if is_trusted_itself(own, roots) => Chain::Trusted,
        Err(_) if read.issuer() == read.subject() => Chain::SelfSigned,
        Err(_) if others.is_empty() => Chain::Alone { issuer },
        Err(_) => Chain::Foreign {
            issuer: sent
                .last()
                .and_then(|last| X509Certificate::from_der(last).ok())
                .map_or(issuer, |(_, last)| last.issuer().to_string()),
        },
    };
    Some(Facts {
        not_before: from,
        not_after: to,
        names: names(&read),
        is_for_host: verify_server_name(&parsed, &name).is_ok(),
        chain,
    })
}

/// Whether it is one of the authorities itself. `openssl req -x509` makes such certificates, which clients take that were given
/// them; no chain may begin with one.
fn is_trusted_itself(own: &CertificateDer<'static>, roots: &RootCertStore) -> bool {
    let mut itself = RootCertStore::empty();
    itself.add(own.clone()).is_ok()
        && itself
            .roots
            .iter()
            .all(|anchor| roots.roots.contains(anchor))
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let extension = certificate.subject_alternative_name().ok().flatten();
    let names = extension.iter().flat_map(|it| &it.value.general_names);
    let texts = names.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(shown(name)),
        GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
        _ => None,
    });
    texts.collect()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

/// What is to be said of it, at a time in seconds since 1970.
pub(in crate::doctor) fn judge(host: &str, facts: &Facts, now: i64) -> Vec<Finding> {
    vec![expiry(facts, now), name(host, facts), chain(&facts.chain)]
}

fn expiry(facts: &Facts, now: i64) -> Finding {
    const ID: &str = "certificate.expiry";
    const RENEW: &str = "have it renewed, and see to it that the server that speaks TLS reads the new one (nginx -s reload and the \
                         like; the relay itself notices)";
    if now < facts.not_before {
        let text = format!(
            "the certificate holds only in {} from now",
            span(facts.not_before - now)
        );
        return Finding::error(
            ID,
            text,
            "is the clock of this machine right, or that of whoever issued it?",
        );
    }
    let left = facts.not_after - now;
    let holds_for = Duration::from_secs((facts.not_after - facts.not_before).unsigned_abs());
    let notice = i64::try_from(renewal_notice(holds_for).as_secs()).unwrap_or(i64::MAX);
    let span = span(left.abs());
    match left {
        ..=0 => Finding::error(ID, format!("the certificate expired {span} ago"), RENEW),
        _ if left < notice => {
            Finding::warn(ID, format!("the certificate holds for {span} only"), RENEW)
        }
        _ => Finding::ok(ID, format!("the certificate holds for {span}")),
    }
}

/// A time in days, or in hours where there are few of them.
fn span(seconds: i64) -> String {
    if seconds < 2 * DAY {
        return format!("{} hours", seconds / HOUR);
    }
    format!("{} days", seconds / DAY)
}

fn name(host: &str, facts: &Facts) -> Finding {
    const ID: &str = "certificate.name";
    let names = match &facts.names[..] {
        [] => "no name".to_owned(),
        names => names.iter().take(5).cloned().collect::<Vec<_>>().join(", "),
    };
    if facts.is_for_host {
        return Finding::ok(ID, format!("the certificate is for {host}"));
    }
    Finding::error(
        ID,
        format!("the certificate is for {names}, and not for {host}"),
        "clients refuse it: get one for this name, or see which certificate the server chooses for it (server_name, SNI)",
    )
}

fn chain(chain: &Chain) -> Finding {
    const ID: &str = "certificate.chain";
    match chain {
        Chain::Trusted => Finding::ok(ID, "its chain ends at an authority that is trusted here"),
        Chain::SelfSigned => Finding::error(
            ID,
            "the certificate is its own issuer: nobody trusts it who was not told to",
            "get one from an authority, such as Let's Encrypt ([tls.acme] has the relay order it)",
        ),
        Chain::Alone { issuer } => Finding::error(
            ID,
            format!(
                "the server sends its own certificate alone, without that of its issuer ({})",
                shown(issuer)
            ),
            "serve the whole chain: fullchain.pem and not cert.pem. Browsers may find the rest by themselves; PHP, Node.js and \
             phones do not",
        ),
        Chain::Foreign { issuer } => Finding::error(
            ID,
            format!(
                "its chain ends at {}, which is not trusted here",
                shown(issuer)
            ),
            "clients must be given that authority's certificate, or the server one of another authority; SSL_CERT_FILE names a \
             file of authorities that this command trusts",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::finding::Level;
    use super::*;

    const NOW: i64 = 20_000 * DAY;

    fn facts() -> Facts {
        Facts {
            not_before: NOW - 30 * DAY,
            not_after: NOW + 60 * DAY,
            names: vec!["a.test".into()],
            is_for_host: true,
            chain: Chain::Trusted,
        }
    }

    fn bad(facts: &Facts) -> Vec<(&'static str, Level)> {
        let findings = judge("a.test", facts, NOW).into_iter();
        let bad = findings.filter(|finding| finding.level != Level::Ok);
        bad.map(|finding| (finding.id, finding.level)).collect()
    }

    #[test]
    fn each_thing_that_is_wrong_is_said_by_itself() {
        assert_eq!(bad(&facts()), []);
        let soon = Facts {
            not_before: NOW - 77 * DAY,
            not_after: NOW + 13 * DAY,
            ..facts()
        };
        assert_eq!(bad(&soon), [("certificate.expiry", Level::Warn)]);
        let expired = Facts {
            not_after: NOW - 1,
            is_for_host: false,
            ..facts()
        };
        let expected = [
            ("certificate.expiry", Level::Error),
            ("certificate.name", Level::Error),
        ];
        assert_eq!(bad(&expired), expected);
        let early = Facts {
            not_before: NOW + DAY,
            ..facts()
        };
        assert_eq!(bad(&early), [("certificate.expiry", Level::Error)]);
        for chain in [
            Chain::SelfSigned,
            Chain::Alone {
                issuer: "CN=x".into(),
            },
            Chain::Foreign {
                issuer: "CN=x".into(),
            },
        ] {
            assert_eq!(
                bad(&Facts { chain, ..facts() }),
                [("certificate.chain", Level::Error)]
            );
        }
    }

    #[test]
    fn one_that_is_made_for_days_or_hours_is_not_late_all_its_life() {
        let short = |before: i64, left: i64| Facts {
            not_before: NOW - before,
            not_after: NOW + left,
            ..facts()
        };
        // Of Let's Encrypt's short-lived profile, and of Caddy's own authority.
        assert_eq!(bad(&short(4 * DAY, 2 * DAY)), []);
        assert_eq!(bad(&short(7 * HOUR, 5 * HOUR)), []);
        let late = [("certificate.expiry", Level::Warn)];
        assert_eq!(bad(&short(5 * DAY + 12 * HOUR, 12 * HOUR)), late);
        let finding = expiry(&short(11 * HOUR, HOUR), NOW);
        assert!(finding.text.contains("1 hours"), "{finding:?}");
    }

    /// An authority, one that it trusts, and a certificate of that for `a.test`.
    #[test]
    fn chains_that_lack_something_are_told_apart() {
        use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
        let authority = |name: &str| {
            let mut params = CertificateParams::new(vec![]).unwrap();
            params
                .distinguished_name
                .push(rcgen::DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            (params, KeyPair::generate().unwrap())
        };
        let (root_params, root_key) = authority("root");
        let root = root_params.self_signed(&root_key).unwrap();
        let root_issuer = Issuer::new(root_params, root_key);
        let (middle_params, middle_key) = authority("middle");
        let middle = middle_params.signed_by(&middle_key, &root_issuer).unwrap();
        let middle_issuer = Issuer::new(middle_params, middle_key);
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
        let own = params.signed_by(&key, &middle_issuer).unwrap();
        let alone = params.self_signed(&key).unwrap();

        let mut roots = RootCertStore::empty();
        roots.add(root.der().clone()).unwrap();
        let chain = |sent: &[&rcgen::Certificate], roots: &RootCertStore| {
            let sent: Vec<_> = sent.iter().map(|it| it.der().clone()).collect();
            look(&sent, "a.test", roots).unwrap().chain
        };
        assert_eq!(chain(&[&own, &middle], &roots), Chain::Trusted);
        assert!(
            matches!(chain(&[&own], &roots), Chain::Alone { issuer } if issuer.contains("middle"))
        );
        assert!(matches!(
            chain(&[&own, &middle], &RootCertStore::empty()),
            Chain::Foreign { issuer } if issuer.contains("root")
        ));
        assert_eq!(chain(&[&alone], &roots), Chain::SelfSigned);
        let mut given = RootCertStore::empty();
        given.add(alone.der().clone()).unwrap();
        assert_eq!(chain(&[&alone], &given), Chain::Trusted);
        // As `openssl req -x509` makes them.
        assert_eq!(chain(&[&root], &RootCertStore::empty()), Chain::SelfSigned);
        assert_eq!(chain(&[&root], &roots), Chain::Trusted);
        let facts = look(&[own.der().clone()], "b.test", &roots).unwrap();
        assert!(!facts.is_for_host && facts.names == ["a.test"]);
        let addressed = CertificateParams::new(vec!["192.0.2.1".to_owned(), "::1".to_owned()]);
        let addressed = addressed.unwrap().self_signed(&key).unwrap();
        let facts = look(&[addressed.der().clone()], "192.0.2.1", &roots).unwrap();
        assert!(facts.is_for_host && facts.names == ["192.0.2.1", "::1"]);
    }
}
