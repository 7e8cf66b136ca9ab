//! What is kept over a restart: the account with the directory, and the certificate with its key.

use std::io;

use instant_acme::AccountCredentials;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::issued::Issued;
use super::settings::Settings;
use crate::state::Folder;
use crate::tls::Name;

/// Larger than anything that is written here.
const LARGEST_FILE: u64 = 1 << 20;
const ACCOUNT: &str = "account.json";

/// The files of one directory's account, and of one certificate of it.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    folder: Folder,
    certificate: String,
    domains: Vec<Name>,
}

/// An account with a directory.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredAccount {
    /// The contact that the directory was given.
    pub(super) contact: Option<Box<str>>,
    pub(super) credentials: AccountCredentials,
}

impl Kept {
    /// Those of this certificate, in the folder of all that is kept.
    pub(super) fn new(state: &Folder, settings: &Settings) -> Self {
        let host = Url::parse(&settings.directory).ok();
        let host = host.as_ref().and_then(Url::host_str).unwrap_or_default();
        let directory = named(host, settings.directory.as_bytes());
        let mut domains: Vec<&str> = settings.domains.iter().map(Name::as_str).collect();
        domains.sort_unstable();
        let first = domains.first().copied().unwrap_or_default();
        Self {
            folder: state.folder("acme").folder(&directory),
            certificate: format!("{}.pem", named(first, domains.join("\n").as_bytes())),
            domains: settings.domains.clone(),
        }
    }

    /// Where it is.
    pub(super) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The certificate of an earlier process; `None` if there is none that can be used, of which the log
    /// says why.
    pub(super) fn certificate(&self) -> Option<Issued> {
        let pem = self.read(&self.certificate)?;
        match Issued::from_pem(pem, &self.domains) {
            Ok(issued) => Some(issued),
            Err(reason) => {
                self.warn(&self.certificate, &reason, "another one is ordered");
                None
            }
        }
    }

    /// Keeps a certificate and its key, in one file, so that they always belong together.
    pub(super) fn keep_certificate(&self, issued: &Issued) -> io::Result<()> {
        self.folder.write(&self.certificate, issued.pem.as_bytes())
    }

    /// A name for this certificate that all nodes that are to serve it have in common.
    pub(super) fn name(&self) -> String {
        let directory = self.folder.path().file_name().unwrap_or_default();
        let certificate = self.certificate.trim_end_matches(".pem");
        format!("{}/{certificate}", directory.to_string_lossy())
    }

    /// The account; `None` if there is none that can be used, of which the log says why.
    pub(super) fn account(&self) -> Option<StoredAccount> {
        let json = self.read(ACCOUNT)?;
        match serde_json::from_slice(&json) {
            Ok(account) => Some(account),
            Err(error) => {
                // The text of the error names no value.
                let reason = format!("line {}, column {}", error.line(), error.column());
                self.warn(
                    ACCOUNT,
                    &reason,
                    "the directory is asked for another account",
                );
                None
            }
        }
    }

    pub(super) fn keep_account(&self, account: &StoredAccount) -> io::Result<()> {
        let json = serde_json::to_vec(account).map_err(io::Error::other)?;
        self.folder.write(ACCOUNT, &json)
    }

    pub(super) fn forget_account(&self) -> io::Result<()> {
        self.folder.remove(ACCOUNT)
    }

    fn read(&self, name: &str) -> Option<Vec<u8>> {
        match self.folder.read(name, LARGEST_FILE) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.warn(name, &error.to_string(), "it counts as missing");
                None
            }
        }
    }

    fn warn(&self, name: &str, reason: &str, consequence: &str) {
        let file = self.folder.path().join(name);
        tracing::warn!(file = %file.display(), reason, "a file cannot be used: {consequence}");
    }
}

/// A name for a file, for people and for certain.
fn named(shown: &str, exact: &[u8]) -> String {
    let shown: String = shown
        .chars()
        .filter(|character| character.is_ascii_alphanumeric() || matches!(character, '.' | '-'))
        .take(100)
        .collect();
    format!("{shown}-{}", hex::encode(&Sha256::digest(exact)[..6]))
}

#[cfg(test)]
mod tests;
