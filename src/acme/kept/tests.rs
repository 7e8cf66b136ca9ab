use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use super::{Kept, StoredAccount};
use crate::acme::issued::Issued;
use crate::acme::settings::{Challenge, Settings};
use crate::state::Folder;
use crate::tls::Name;

fn settings(directory: &str, domains: &[&str]) -> Settings {
    Settings {
        domains: domains
            .iter()
            .map(|name| Name::parse(name).unwrap())
            .collect(),
        contact: Some("mailto:ops@example.com".into()),
        directory: directory.into(),
        challenge: Challenge::default(),
        ca_certificates: None,
        cluster_secret: None,
    }
}

fn issued(domains: &[&str]) -> Issued {
    let names: Vec<String> = domains.iter().map(|name| (*name).to_owned()).collect();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(names)
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let pem = key.serialize_pem() + &certificate.pem();
    let names: Vec<Name> = domains
        .iter()
        .map(|name| Name::parse(name).unwrap())
        .collect();
    Issued::from_pem(pem.into_bytes(), &names).unwrap()
}

fn state() -> (TempDir, Folder) {
    let outer = tempfile::tempdir().unwrap();
    let folder = Folder::new(outer.path().join("state"));
    (outer, folder)
}

const DIRECTORY: &str = "https://ca.example/directory";

#[test]
fn a_certificate_is_found_again_for_the_same_names_and_directory_alone() {
    let (_outer, state) = state();
    let kept = Kept::new(&state, &settings(DIRECTORY, &["a.example", "b.example"]));
    assert!(kept.certificate().is_none());
    let issued = issued(&["a.example", "b.example"]);
    kept.keep_certificate(&issued).unwrap();
    let found = |directory, domains: &[&str]| {
        Kept::new(&state, &settings(directory, domains)).certificate()
    };
    let again = found(DIRECTORY, &["b.example", "a.example"]).unwrap();
    assert_eq!(again.pem, issued.pem);
    assert!(found(DIRECTORY, &["a.example"]).is_none());
    assert!(found("https://ca.example/other", &["a.example", "b.example"]).is_none());
    let file = fs::metadata(kept.folder().path().join(&kept.certificate)).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_file_that_is_broken_counts_as_missing() {
    let (_outer, state) = state();
    let kept = Kept::new(&state, &settings(DIRECTORY, &["a.example"]));
    let whole = issued(&["a.example"]);
    kept.keep_certificate(&whole).unwrap();
    let file = kept.folder().path().join(&kept.certificate);
    let pem = fs::read(&file).unwrap();
    for broken in [
        &pem[..pem.len() / 2],
        &pem[..10],
        b"",
        &[0xff; 100],
        &vec![b'x'; 2 << 20],
    ] {
        fs::write(&file, broken).unwrap();
        assert!(kept.certificate().is_none());
    }
    kept.keep_certificate(&issued(&["other.example"])).unwrap();
    assert!(kept.certificate().is_none(), "it is for another name");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert!(kept.certificate().is_none());
}

#[test]
fn an_account_is_found_again_unless_it_is_broken() {
    let (_outer, state) = state();
    let kept = Kept::new(&state, &settings(DIRECTORY, &["a.example"]));
    assert!(kept.account().is_none());
    let text = r#"{"id":"https://ca.example/account/1","key_pkcs8":"AAAA","directory":"https://ca.example/directory"}"#;
    let account = StoredAccount {
        contact: Some("mailto:ops@example.com".into()),
        credentials: serde_json::from_str(text).unwrap(),
    };
    kept.keep_account(&account).unwrap();
    let found = kept.account().unwrap();
    assert_eq!(serde_json::to_string(&found.credentials).unwrap(), text);
    assert_eq!(found.contact.as_deref(), Some("mailto:ops@example.com"));
    fs::write(kept.folder().path().join("account.json"), "{").unwrap();
    assert!(kept.account().is_none());
    kept.forget_account().unwrap();
    assert!(kept.account().is_none());
}
