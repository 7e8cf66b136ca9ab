//! Certificates that cannot be served are refused at start, with the file and the key of the setting.

use std::fs;

use protocol_tests::{Exit, or_skip};

use crate::server::Certificates;

fn assert_refused(exit: &Exit, parts: &[&str]) {
    assert_ne!(exit.code, Some(0));
    let log = exit.log.join("\n");
    for part in parts {
        assert!(log.contains(part), "{part:?} is missing: {log}");
    }
}

#[tokio::test]
async fn a_missing_file_is_named() {
    let certificates = Certificates::new();
    let exit = or_skip!(certificates.builder("none").start_and_exit().await);
    assert_refused(&exit, &["none.pem (tls.certificate)", "No such file"]);
}

#[tokio::test]
async fn a_key_of_another_certificate_is_refused() {
    let certificates = Certificates::new();
    certificates.issue("relay", &["relay.test"]);
    certificates.issue("other", &["other.test"]);
    fs::copy(certificates.key("other"), certificates.key("relay")).unwrap();
    let exit = or_skip!(certificates.builder("relay").start_and_exit().await);
    assert_refused(
        &exit,
        &["relay.key (tls.key)", "not the key of the certificate"],
    );
}

#[tokio::test]
async fn a_chain_in_another_order_is_refused() {
    let certificates = Certificates::new();
    certificates.issue("relay", &["relay.test"]);
    let chain = fs::read_to_string(certificates.certificate("relay")).unwrap();
    let end = "-----END CERTIFICATE-----";
    let (own, issuer) = chain.split_at(chain.find(end).unwrap() + end.len());
    fs::write(
        certificates.certificate("relay"),
        format!("{issuer}\n{own}\n"),
    )
    .unwrap();
    let exit = or_skip!(certificates.builder("relay").start_and_exit().await);
    assert_refused(&exit, &["relay.pem (tls.certificate)"]);
}
