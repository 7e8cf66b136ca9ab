//! What `check-config` says of certificates that clients will refuse.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

use crate::support::{Directory, texts};

const CONFIG: &str = r#"
[tls]
listen = "127.0.0.1:0"
certificate = "relay.pem"
key = "relay.key"
"#;

/// An authority, which this machine trusts, and a relay's certificate that it has issued for `relay.test`.
struct Made {
    authority: String,
    own: String,
    key: String,
}

fn made(change: impl FnOnce(&mut CertificateParams)) -> Made {
    let authority_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(DnType::CommonName, "An Authority");
    let authority = params.self_signed(&authority_key).unwrap().pem();
    let issuer = Issuer::new(params, authority_key);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["relay.test".to_owned()]).unwrap();
    change(&mut params);
    let own = params.signed_by(&key, &issuer).unwrap().pem();
    Made {
        authority,
        own,
        key: key.serialize_pem(),
    }
}

impl Made {
    /// What is printed of this chain under this configuration; that it is checked is no failure.
    fn checked(&self, config: &str, chain: &[&str]) -> String {
        let directory = Directory::with("config.toml", config);
        let file = |name: &str| directory.0.join(name);
        fs::write(file("authority.pem"), &self.authority).unwrap();
        fs::write(file("relay.pem"), chain.concat()).unwrap();
        fs::write(file("relay.key"), &self.key).unwrap();
        let secret = fs::Permissions::from_mode(0o600);
        fs::set_permissions(file("relay.key"), secret).unwrap();
        let mut command = directory.fanfare(&["check-config"]);
        command.env("SSL_CERT_FILE", file("authority.pem"));
        let output = command.output().unwrap();
        let (stdout, stderr) = texts(&output);
        assert_eq!((output.status.code(), stderr.as_str()), (Some(0), ""));
        stdout
    }
}

/// The concerns among the lines of a report.
fn concerns(report: &str) -> Vec<&str> {
    let lines = report.lines();
    lines
        .filter_map(|line| line.trim().strip_prefix("! "))
        .collect()
}

#[test]
fn a_certificate_that_clients_take_raises_no_concern() {
    let made = made(|_| {});
    let report = made.checked(CONFIG, &[&made.own, &made.authority]);
    assert_eq!(concerns(&report), [""; 0], "{report}");
    assert!(report.contains("relay.test (relay.pem; "), "{report}");
}

#[test]
fn a_chain_that_lacks_the_issuer_is_named() {
    let made = made(|_| {});
    let report = made.checked(CONFIG, &[&made.own]);
    assert_eq!(
        concerns(&report),
        [
            "relay.pem (tls.certificate) holds no certificate of its issuer, CN=An Authority: clients that do not know \
             that one themselves refuse it"
        ],
        "{report}"
    );
}

#[test]
fn a_certificate_that_has_expired_is_named() {
    let made = made(|params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2020, 4, 1);
    });
    let report = made.checked(CONFIG, &[&made.own, &made.authority]);
    let expected = "relay.pem (tls.certificate) has expired: clients refuse it";
    assert_eq!(concerns(&report), [expected], "{report}");
    assert!(report.contains("(relay.pem; 0 days; "), "{report}");
}

#[test]
fn names_that_a_certificate_is_not_for_are_named() {
    let config = r#"
        [tls]
        listen = "127.0.0.1:0"
        [[tls.certificates]]
        certificate = "relay.pem"
        key = "relay.key"
        names = ["a.wild.test", "a.b.wild.test", "relay.test", "*.relay.test", "other.test", "*.wild.test"]
    "#;
    let made = made(|params| {
        let wildcard = "*.wild.test".try_into().unwrap();
        params
            .subject_alt_names
            .push(rcgen::SanType::DnsName(wildcard));
    });
    let report = made.checked(config, &[&made.own, &made.authority]);
    assert_eq!(
        concerns(&report),
        [
            "relay.pem (tls.certificates[0].certificate) is used for a.b.wild.test, *.relay.test, other.test, which it is \
             not for: clients refuse it there"
        ],
        "{report}"
    );
}
