//! Certificates with something wrong about them, each served by a relay.

use std::path::PathBuf;

use protocol_tests::{TestServer, or_skip};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

use crate::asked::{APP, Doctor, Findings};

/// What a relay serves, and what is found of it by somebody who trusts the authority.
struct Case {
    name: &'static str,
    years: (i32, i32),
    /// Whether the certificate of the issuer is left out.
    alone: bool,
    self_signed: bool,
}

const GOOD: Case = Case {
    name: "localhost",
    years: (2020, 2090),
    alone: false,
    self_signed: false,
};

async fn found(case: Case) -> Option<Findings> {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
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
    let mut params = CertificateParams::new(vec![case.name.to_owned()]).unwrap();
    params.not_before = date_time_ymd(case.years.0, 1, 1);
    params.not_after = date_time_ymd(case.years.1, 1, 1);
    let own = if case.self_signed {
        params.self_signed(&key).unwrap()
    } else {
        params.signed_by(&key, &middle_issuer).unwrap()
    };
    let chain = if case.alone || case.self_signed {
        own.pem()
    } else {
        own.pem() + &middle.pem()
    };
    let text = |path: PathBuf| path.to_str().unwrap().to_owned();
    let server = TestServer::builder()
        .set("tls.listen", "127.0.0.1:0")
        .set("tls.certificate", text(file("own.pem", &chain)))
        .set("tls.key", text(file("own.key", &key.serialize_pem())))
        .start()
        .await
        .ok()?;
    let port = tls_port(&server);
    let doctor = Doctor::of(&format!("wss://localhost:{port}"), APP);
    let trusted = text(file("root.pem", &root.pem()));
    let found = doctor.variable("SSL_CERT_FILE", &trusted).ask().await;
    server.finish().await;
    Some(found)
}

fn tls_port(server: &TestServer) -> u16 {
    let (_, port) = server.tls_authority().rsplit_once(':').unwrap();
    port.parse().unwrap()
}

#[tokio::test]
async fn a_good_one_is_said_to_be() {
    let Some(found) = found(GOOD).await else {
        return;
    };
    for id in [
        "certificate.expiry",
        "certificate.name",
        "certificate.chain",
        "presence",
    ] {
        found.expect_ok(id);
    }
    found.expect_well_but(&[]);
}

#[tokio::test]
async fn one_that_has_expired_is_found() {
    let case = Case {
        years: (2020, 2021),
        ..GOOD
    };
    let Some(found) = found(case).await else {
        return;
    };
    found.expect_error("certificate.expiry", "expired");
    found.expect_well_but(&["certificate.expiry"]);
}

#[tokio::test]
async fn one_of_another_name_is_found() {
    let case = Case {
        name: "other.test",
        ..GOOD
    };
    let Some(found) = found(case).await else {
        return;
    };
    found.expect_error("certificate.name", "other.test");
    found.expect_well_but(&["certificate.name"]);
}

#[tokio::test]
async fn one_without_that_of_its_issuer_is_found() {
    let Some(found) = found(Case {
        alone: true,
        ..GOOD
    })
    .await
    else {
        return;
    };
    found.expect_error("certificate.chain", "fullchain.pem");
    found.expect_well_but(&["certificate.chain"]);
}

#[tokio::test]
async fn one_that_is_its_own_issuer_is_found() {
    let Some(found) = found(Case {
        self_signed: true,
        ..GOOD
    })
    .await
    else {
        return;
    };
    found.expect_error("certificate.chain", "its own issuer");
    found.expect_well_but(&["certificate.chain"]);
}

#[tokio::test]
async fn a_port_without_tls_is_found() {
    let server = or_skip!(TestServer::builder().own_process().start().await);
    let url = format!("wss://{}", server.endpoint().authority);
    let found = Doctor::of(&url, APP).ask().await;
    found.expect_error("tls", "plain ws://");
    server.finish().await;
}
