//! A certificate that an authority issues.

use super::*;
use crate::acme::{Challenge, LETS_ENCRYPT};

fn ordering(lines: &str) -> String {
    with_app(&format!(
        "[tls]\nlisten = \"127.0.0.1:0\"\n[tls.acme]\n{lines}"
    ))
}

#[test]
fn nothing_is_ordered_where_no_name_is_given() {
    for file in ["", "[tls.acme]\n", "[tls.acme]\ndomains = []\n"] {
        assert!(Setting::new().file(file).load().tls.acme.is_none());
    }
}

#[test]
fn the_file_and_variables_set_it() {
    let file = ordering("domains = [\"WS.example.com\"]\n");
    let acme = Setting::new().file(&file).load().tls.acme.unwrap();
    assert_eq!(acme.domains[0].as_str(), "ws.example.com");
    assert_eq!(&*acme.directory, LETS_ENCRYPT);
    assert_eq!(acme.challenge, Challenge::TlsAlpn01);
    assert!(acme.contact.is_none() && acme.ca_certificates.is_none());

    let acme = Setting::new()
        .file(&file)
        .variable("FANFARE_TLS__ACME__DOMAINS", "a.example.com, b.example.com")
        .variable("FANFARE_TLS__ACME__CONTACT", "mailto:ops@example.com")
        .variable(
            "FANFARE_TLS__ACME__DIRECTORY",
            "https://ca.internal:14000/dir",
        )
        .variable("FANFARE_TLS__ACME__CHALLENGE", "http-01")
        .variable("FANFARE_TLS__ACME__CA_CERTIFICATES", "/etc/ca.pem")
        .load()
        .tls
        .acme
        .unwrap();
    let domains: Vec<&str> = acme.domains.iter().map(|name| name.as_str()).collect();
    assert_eq!(domains, ["a.example.com", "b.example.com"]);
    assert_eq!(acme.contact.as_deref(), Some("mailto:ops@example.com"));
    assert_eq!(&*acme.directory, "https://ca.internal:14000/dir");
    assert_eq!(acme.challenge, Challenge::Http01);
    assert_eq!(acme.ca_certificates, Some("/etc/ca.pem".into()));
}

#[test]
fn what_no_authority_would_issue_for_is_refused() {
    for domains in [
        "\"*.example.com\"",
        "\"localhost\"",
        "\"192.0.2.1\"",
        "\"a_b.example.com\"",
        "\"https://example.com\"",
        "\"example.com.\"",
        "\"\"",
        "\"a.example.com\", \"A.example.com\"",
        "1",
    ] {
        let mistake = mistake_in(&ordering(&format!("domains = [{domains}]\n")));
        assert!(
            mistake.contains("tls.acme.domains: expected names of hosts"),
            "{mistake}"
        );
    }
}

#[test]
fn a_certificate_that_nobody_would_serve_is_not_ordered() {
    let file = with_app("[tls.acme]\ndomains = [\"ws.example.com\"]\n");
    let mistake = mistake_in(&file);
    assert!(
        mistake.contains("tls.listen: missing; expected where"),
        "{mistake}"
    );
}

#[test]
fn the_other_settings_are_checked_even_where_nothing_is_ordered() {
    for (line, key) in [
        ("contact = \"ops@example.com\"", "contact"),
        ("contact = \"mailto:ops\"", "contact"),
        ("contact = \"mailto:a@b,c@d\"", "contact"),
        ("directory = \"http://ca.example/dir\"", "directory"),
        ("directory = \"ca.example\"", "directory"),
        ("challenge = \"dns-01\"", "challenge"),
        ("cluster_secret = \"too short\"", "cluster_secret"),
    ] {
        let mistake = mistake_in(&with_app(&format!("[tls.acme]\n{line}")));
        assert!(
            mistake.contains(&format!("tls.acme.{key}: expected ")),
            "{mistake}"
        );
        assert!(!mistake.contains("too short"), "a secret is not shown");
    }
}

#[test]
fn the_secret_of_a_cluster_is_kept_and_not_shown() {
    let secret = "0123456789abcdef0123456789abcdef";
    let lines = format!("domains = [\"ws.example.com\"]\ncluster_secret = \"{secret}\"\n");
    let config = Setting::new().file(&ordering(&lines)).load();
    let acme = config.tls.acme.unwrap();
    assert_eq!(acme.cluster_secret.as_deref(), Some(secret));
    assert!(!format!("{acme:?}").contains(secret));
    let lines = "domains = [\"ws.example.com\"]\ncluster_secret = \"\"\n";
    let acme = Setting::new().file(&ordering(lines)).load().tls.acme;
    assert!(acme.unwrap().cluster_secret.is_none());
}
