//! What the HTTP side shows of it.

use std::sync::Arc;
use std::time::SystemTime;

use super::answers::Answers;
use crate::tls::{Certificates, Name, PlaceId};

/// What is asked for over HTTP: an authority's question, and whether there is a certificate.
#[derive(Clone, Debug)]
pub struct Shown {
    pub(super) answers: Answers,
    pub(super) certificates: Arc<Certificates>,
    pub(super) place: PlaceId,
    pub(super) first_domain: Name,
}

impl Shown {
    /// The answer to an authority that asks for a token.
    pub fn answer(&self, token: &str) -> Option<Arc<str>> {
        self.answers.find(token)
    }

    /// Why clients cannot connect over TLS, if they cannot.
    pub fn trouble(&self) -> Option<String> {
        let domain = &self.first_domain;
        match self.certificates.get(self.place) {
            None => Some(format!("there is no certificate for {domain} yet")),
            Some(certificate) if certificate.not_after() <= SystemTime::now() => {
                Some(format!("the certificate for {domain} has expired"))
            }
            Some(_) => None,
        }
    }
}
