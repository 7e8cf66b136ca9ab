//! A certificate that an authority issued.

use std::fmt;
use std::time::SystemTime;

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

    /// Whether it is to be served rather than another one: one that holds at this time rather than one that has expired, and
    /// of two of them that which was issued later. How long it holds says nothing about that: authorities
    /// change how long theirs do.
    pub(super) fn supersedes(&self, other: Option<&Self>, now: SystemTime) -> bool {
        other.is_none_or(|other| self.rank(now) > other.rank(now))
    }

    fn rank(&self, now: SystemTime) -> (bool, SystemTime, SystemTime) {
        let (from, until) = (self.certificate.not_before(), self.certificate.not_after());
        (now < until, from, until)
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn issued(from: SystemTime, until: SystemTime) -> Issued {
        let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        params.not_before = from.into();
        params.not_after = until.into();
        let key = KeyPair::generate().unwrap();
        let pem = key.serialize_pem() + &params.self_signed(&key).unwrap().pem();
        Issued::from_pem(pem.into_bytes(), &[Name::parse("a.example").unwrap()]).unwrap()
    }

    #[test]
    fn one_that_was_issued_later_supersedes_one_that_holds_for_longer() {
        let now = SystemTime::now();
        let old = issued(now - 60 * DAY, now + 30 * DAY);
        let new = issued(now - DAY / 24, now + DAY);
        assert!(new.supersedes(Some(&old), now));
        assert!(!old.supersedes(Some(&new), now));
        assert!(!new.supersedes(Some(&new), now));
        assert!(new.supersedes(None, now));
    }

    #[test]
    fn of_two_issued_at_one_time_the_one_that_holds_for_longer_supersedes() {
        let now = SystemTime::now();
        let [short, long] = [DAY, 2 * DAY].map(|life| issued(now - DAY, now + life));
        assert!(long.supersedes(Some(&short), now));
        assert!(!short.supersedes(Some(&long), now));
    }

    #[test]
    fn one_that_has_expired_supersedes_none_that_holds() {
        let now = SystemTime::now();
        let old = issued(now - 60 * DAY, now + 30 * DAY);
        let expired = issued(now - 2 * DAY, now - DAY);
        assert!(old.supersedes(Some(&expired), now));
        assert!(!expired.supersedes(Some(&old), now));
    }
}
