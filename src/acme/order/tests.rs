use std::time::{Duration, SystemTime};

use instant_acme::{Error, Problem};
use rcgen::{CertificateParams, KeyPair};

use super::{Failure, OrderError, accept, failure, plain};
use crate::tls::{CertificateError, Name};

const DAY: Duration = Duration::from_secs(86_400);

struct Made {
    chain: String,
    key: String,
}

fn issue(names: &[&str], from: SystemTime, until: SystemTime) -> Made {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = from.into();
    params.not_after = until.into();
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Made {
        chain: certificate.pem(),
        key: key.serialize_pem(),
    }
}

fn domains(names: &[&str]) -> Vec<Name> {
    names
        .iter()
        .map(|name| Name::parse(name).unwrap())
        .collect()
}

#[test]
fn a_certificate_is_taken_that_is_what_was_ordered() {
    let now = SystemTime::now();
    let made = issue(
        &["a.example", "b.example", "c.example"],
        now - DAY,
        now + DAY,
    );
    let ordered = domains(&["b.example", "a.example"]);
    let certificate = accept(&made.chain, &made.key, &ordered, now).unwrap();
    assert_eq!(
        certificate.names(),
        ordered,
        "no name is served that was not ordered"
    );
}

#[test]
fn a_directory_that_issues_something_else_is_not_believed() {
    let now = SystemTime::now();
    let ordered = domains(&["a.example", "b.example"]);
    let made = issue(&["a.example"], now - DAY, now + DAY);
    let error = accept(&made.chain, &made.key, &ordered, now).unwrap_err();
    assert!(matches!(error, OrderError::OtherName(name) if name == ordered[1]));

    let made = issue(&["a.example", "b.example"], now - DAY, now + DAY);
    let other = KeyPair::generate().unwrap().serialize_pem();
    let error = accept(&made.chain, &other, &ordered, now).unwrap_err();
    assert!(matches!(
        error,
        OrderError::Certificate(CertificateError::OtherKey)
    ));

    for (from, until) in [(now - 2 * DAY, now - DAY), (now + DAY, now + 2 * DAY)] {
        let made = issue(&["a.example", "b.example"], from, until);
        let error = accept(&made.chain, &made.key, &ordered, now).unwrap_err();
        assert!(matches!(error, OrderError::OtherTime), "{error}");
    }

    for chain in [
        "",
        "nonsense",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        let error = accept(chain, &made.key, &ordered, now).unwrap_err();
        assert_eq!(error.failure(), Failure::Unusable, "{error}");
    }
}

fn problem(kind: &str, status: u16) -> Error {
    let text = format!(r#"{{"type":"urn:ietf:params:acme:error:{kind}","status":{status}}}"#);
    let problem: Problem = serde_json::from_str(&text).unwrap();
    Error::Api(problem)
}

#[test]
fn what_a_directory_has_against_an_order_decides_when_it_is_asked_again() {
    assert_eq!(failure(&problem("rateLimited", 429)), Failure::RateLimited);
    assert_eq!(failure(&problem("badNonce", 400)), Failure::Unreachable);
    assert_eq!(
        failure(&problem("serverInternal", 500)),
        Failure::Unreachable
    );
    assert_eq!(failure(&problem("somethingNew", 503)), Failure::Unreachable);
    assert_eq!(failure(&problem("unauthorized", 403)), Failure::Refused);
    assert_eq!(failure(&Error::Timeout(None)), Failure::Unreachable);
    assert_eq!(failure(&Error::Str("no nonce")), Failure::Unusable);
    assert!(OrderError::Acme(problem("accountDoesNotExist", 400)).is_of_account());
    assert!(!OrderError::Acme(problem("unauthorized", 403)).is_of_account());
}

#[test]
fn what_a_directory_writes_stays_one_short_line_of_the_log() {
    assert_eq!(plain("a\nb\u{1b}[31m"), "a b [31m");
    assert_eq!(plain(&"x".repeat(10_000)).len(), 300);
}
