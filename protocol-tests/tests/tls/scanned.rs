//! What a scanner finds.

use std::collections::BTreeSet;

use protocol_tests::{Skipped, or_skip, within};
use tokio::process::Command;

use crate::server::Certificates;

/// Those with forward secrecy that authenticate what they encrypt, and nothing else: a certificate of ECDSA takes these.
const CIPHERS: [&str; 6] = [
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
];

/// The values of an attribute in the elements of this name that begin so.
fn values<'r>(report: &'r str, element: &str, attribute: &str) -> BTreeSet<&'r str> {
    let lines = report.lines().map(str::trim_start);
    let lines = lines.filter(|line| line.starts_with(element));
    let name = format!(" {attribute}=\"");
    let value = |line: &'r str| line.split_once(&*name)?.1.split('"').next();
    lines.filter_map(value).collect()
}

async fn scan(minimum: &str) -> Result<String, Skipped> {
    let certificates = Certificates::new();
    certificates.issue("relay", &["127.0.0.1"]);
    let builder = certificates.builder("relay").set("tls.minimum", minimum);
    let server = builder.start().await?;
    let mut sslscan = Command::new("sslscan");
    let sslscan = sslscan.args(["--xml=-", "--no-colour", server.tls_authority()]);
    let output = within("the end of the scan", sslscan.kill_on_drop(true).output()).await;
    let output = output.expect("`make setup` installs sslscan");
    server.finish().await;
    Ok(String::from_utf8(output.stdout).unwrap())
}

#[tokio::test]
async fn old_versions_and_weak_ciphers_are_not_spoken() {
    for (minimum, versions) in [("1.2", &["1.2", "1.3"][..]), ("1.3", &["1.3"])] {
        let report = or_skip!(scan(minimum).await);
        let spoken = report.lines().filter(|line| line.contains("enabled=\"1\""));
        let spoken: Vec<&str> = spoken.collect();
        let spoken = spoken.join("\n");
        let of_tls = values(&spoken, "<protocol type=\"tls\"", "version");
        assert_eq!(
            of_tls,
            BTreeSet::from_iter(versions.iter().copied()),
            "{report}"
        );
        assert!(
            values(&spoken, "<protocol type=\"ssl\"", "version").is_empty(),
            "{report}"
        );
        let ciphers = values(&report, "<cipher ", "cipher");
        let of_13 = CIPHERS.iter().filter(|name| name.starts_with("TLS_"));
        let expected = match minimum {
            "1.3" => BTreeSet::from_iter(of_13.copied()),
            _ => BTreeSet::from(CIPHERS),
        };
        assert_eq!(ciphers, expected, "{report}");
        assert!(
            report.contains("<renegotiation supported=\"0\""),
            "{report}"
        );
        assert!(!report.contains("vulnerable=\"1\""), "{report}");
    }
}
