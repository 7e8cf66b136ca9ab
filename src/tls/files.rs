//! Certificates in files.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::certificate::{Certificate, CertificateError, Chain, renewal_notice};
use super::name::Name;
use super::trust::unfit_names;

/// The files of a certificate, its chain and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The certificate and its chain, in PEM.
    pub certificate: Setting,
    /// Its key, in PEM.
    pub key: Setting,
    /// The names that it is used for; empty: those that it has itself.
    pub names: Vec<Name>,
}

/// A path, and the key of the configuration that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The key.
    pub key: String,
    /// The path.
    pub path: PathBuf,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read {} ({key}): {source}", path.display())]
    Unreadable {
        /// The key of the configuration.
        key: String,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It does not hold what it should.
    #[error("{} ({key}) cannot be used: {reason}", path.display())]
    Unusable {
        /// The key of the configuration.
        key: String,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: CertificateError,
    },
}

/// The bits of others than owner and group.
const EVERYBODY: u32 = 0o007;

impl Pair {
    /// Reads the files.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub fn load(&self) -> Result<Certificate, FileError> {
        let (chain, key) = (self.certificate.read()?, self.key.read()?);
        let certificate = Certificate::from_pem(&chain, &key).map_err(|reason| {
            let blamed = if reason.is_of_key() {
                &self.key
            } else {
                &self.certificate
            };
            FileError::Unusable {
                key: blamed.key.clone(),
                path: blamed.path.clone(),
                reason,
            }
        })?;
        Ok(match &self.names[..] {
            [] => certificate,
            names => certificate.only_for(names.to_vec()),
        })
    }

    /// What an operator should know of a certificate that was read from the files, and can be used.
    pub fn concerns(&self, certificate: &Certificate, now: SystemTime) -> Vec<String> {
        let mut concerns = Vec::new();
        let shown = |setting: &Setting| format!("{} ({})", setting.path.display(), setting.key);
        let (of_certificate, of_key) = (shown(&self.certificate), shown(&self.key));
        let holds_for = certificate
            .not_after()
            .duration_since(certificate.not_before());
        let notice = renewal_notice(holds_for.unwrap_or_default());
        if certificate.not_after() <= now {
            concerns.push(format!("{of_certificate} has expired: clients refuse it"));
        } else if certificate.not_after() <= now + notice {
            let left = certificate.not_after().duration_since(now);
            let hours = left.unwrap_or_default().as_secs() / 3600;
            concerns.push(format!("{of_certificate} expires in {hours} hours"));
        }
        if certificate.not_before() > now {
            concerns.push(format!(
                "{of_certificate} does not hold yet: clients refuse it"
            ));
        }
        if let Chain::Alone { issuer } = certificate.chain() {
            concerns.push(format!(
                "{of_certificate} holds no certificate of its issuer, {issuer}: clients that do not know that one \
                 themselves refuse it"
            ));
        }
        let unfit: Vec<&str> = unfit_names(certificate)
            .iter()
            .map(|name| name.as_str())
            .collect();
        if !unfit.is_empty() {
            concerns.push(format!(
                "{of_certificate} is used for {}, which it is not for: clients refuse it there",
                unfit.join(", ")
            ));
        }
        if is_open_to_everybody(&self.key.path) {
            concerns.push(format!("{of_key} can be read by everybody on this machine"));
        }
        concerns
    }
}

impl Setting {
    fn read(&self) -> Result<Vec<u8>, FileError> {
        fs::read(&self.path).map_err(|source| FileError::Unreadable {
            key: self.key.clone(),
            path: self.path.clone(),
            source,
        })
    }
}

fn is_open_to_everybody(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & EVERYBODY != 0)
}
