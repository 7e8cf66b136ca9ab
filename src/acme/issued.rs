//! A certificate that an authority issued.

use std::fmt;

use crate::tls::{Certificate, Name};

/// A certificate, and the text with its key and its chain that it is kept as.
#[derive(Clone)]
pub(super) struct Issued {
    pub(super) certificate: Certificate,
    pub(super) pem: String,
}

impl Issued {
    /// One that was kept as a text, if it can be used for all of these names; otherwise why not.
    pub(super) fn from_pem(pem: Vec<u8>, domains: &[Name]) -> Result<Self, String> {
        let certificate = Certificate::from_pem(&pem, &pem).map_err(|error| error.to_string())?;
        let missing = |name: &&Name| !certificate.names().contains(name);
        if let Some(missing) = domains.iter().find(missing) {
            return Err(format!("it is not for {missing}"));
        }
        Ok(Self {
            // Of another name that it may be for, nobody has said that it is served here.
            certificate: certificate.only_for(domains.to_vec()),
            pem: String::from_utf8(pem).map_err(|_| "it is no text")?,
        })
    }

    /// Whether it holds for longer than another one.
    pub(super) fn outlasts(&self, other: Option<&Self>) -> bool {
        other.is_none_or(|other| self.certificate.not_after() > other.certificate.not_after())
    }
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The text has the private key in it.
        f.debug_struct("Issued")
            .field("names", &self.certificate.names())
            .finish_non_exhaustive()
    }
}
