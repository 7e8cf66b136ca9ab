//! What is ordered, from whom, and how it is proved that it is ours.

use std::fmt;
use std::ops::Deref;
use std::path::PathBuf;

use crate::tls::Name;

/// The directory that is asked where none is configured: that of Let's Encrypt.
pub const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// Domains of a certificate at most: what Let's Encrypt allows.
pub const MOST_DOMAINS: usize = 100;

/// A certificate that is ordered and renewed.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The names that it is for; at least one, none of them twice.
    pub domains: Vec<Name>,
    /// Whom the authority writes to (`mailto:…`).
    pub contact: Option<Box<str>>,
    /// Where the authority is asked (RFC 8555, 7.1.1).
    pub directory: Box<str>,
    /// How it is proved that the names are ours.
    pub challenge: Challenge,
    /// Certificates by which the directory is trusted, beside the system's: a PEM file.
    pub ca_certificates: Option<PathBuf>,
    /// What the nodes of a cluster seal with what they share; `None`: each has a certificate of its own.
    pub cluster_secret: Option<Secret>,
}

/// A text that is not shown.
#[derive(Clone)]
pub struct Secret(Box<str>);

impl Secret {
    /// The secret with this text.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }
}

impl Deref for Secret {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// How an authority is shown that a name is ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Challenge {
    /// It connects to port 443 and is shown a certificate (RFC 8737).
    #[default]
    TlsAlpn01,
    /// It connects to port 80 and asks for a text (RFC 8555, 8.3).
    Http01,
}
