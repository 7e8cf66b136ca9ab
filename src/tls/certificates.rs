//! The certificates that are served at the moment, and which of them a client is given.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::{Mutex, RwLock};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificate::Certificate;
use super::name::Name;
use crate::metrics::Gauge;

/// The protocol in whose name an authority asks whether a host is ours (RFC 8737, tls-alpn-01).
pub const ACME_TLS: &[u8] = b"acme-tls/1";

/// The certificates that are served. Each has a place, in which another can be put at any time:
/// connections that are open keep what they were given, and the next handshake gets the new one.
///
/// A client gets the first certificate, in the order of their places, that is for the very name that it
/// asks for, then the first that is for all hosts beside it; whoever asks for no name, or an unknown one, gets
/// the first of all.
#[derive(Debug, Default)]
pub struct Certificates {
    /// Changed under the lock; handshakes read `table`, which is made of them.
    places: Mutex<Vec<Placed>>,
    table: RwLock<Arc<Table>>,
    /// What is shown to an authority, by the name that it asks for.
    challenges: RwLock<HashMap<Name, Arc<CertifiedKey>>>,
    /// How many names those are.
    challenged: Gauge,
}

/// Where a certificate is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PlaceId(usize);

#[derive(Debug)]
struct Placed {
    label: Box<str>,
    certificate: Option<Arc<Certificate>>,
}

#[derive(Debug, Default)]
struct Table {
    by_name: HashMap<Box<str>, Arc<CertifiedKey>>,
    default: Option<Arc<CertifiedKey>>,
}

impl Certificates {
    /// None. `challenged` shows how many names an authority may ask for.
    pub fn new(challenged: Gauge) -> Arc<Self> {
        Arc::new(Self {
            challenged,
            ..Self::default()
        })
    }

    /// A new place behind the others, empty as yet. The label is what operators know it by while its certificate has no
    /// name.
    pub fn add_place(&self, label: &str) -> PlaceId {
        let mut places = self.places.lock();
        places.push(Placed {
            label: label.into(),
            certificate: None,
        });
        PlaceId(places.len() - 1)
    }

    /// Serves the certificate from now on, instead of what was in this place.
    pub fn put(&self, place: PlaceId, certificate: Certificate) {
        let mut places = self.places.lock();
        if let Some(placed) = places.get_mut(place.0) {
            placed.certificate = Some(Arc::new(certificate));
        }
        // Under the lock: of two that are put at once, the table has both.
        *self.table.write() = Arc::new(Table::of(&places));
    }

    /// What is in this place.
    pub fn get(&self, place: PlaceId) -> Option<Arc<Certificate>> {
        self.places.lock().get(place.0)?.certificate.clone()
    }

    /// When the first of the certificates expires that are there for a name, by name. One without a name of a
    /// host, which is for addresses, goes by the label of its place.
    pub fn expiries(&self) -> BTreeMap<Box<str>, SystemTime> {
        let mut expiries = BTreeMap::new();
        for placed in &*self.places.lock() {
            let Some(certificate) = &placed.certificate else {
                continue;
            };
            let names = certificate.names().iter().map(|name| name.as_str().into());
            let label = (names.len() == 0).then(|| placed.label.clone());
            for name in names.chain(label) {
                let first = expiries.entry(name).or_insert(certificate.not_after());
                *first = certificate.not_after().min(*first);
            }
        }
        expiries
    }

    /// Shows this to an authority that asks for the name by [`ACME_TLS`], and to nobody else.
    pub fn set_challenge(&self, name: Name, key: CertifiedKey) {
        let mut challenges = self.challenges.write();
        challenges.insert(name, Arc::new(key));
        self.challenged.set(challenges.len() as i64);
    }

    /// Ends what [`set_challenge`](Self::set_challenge) began.
    pub fn remove_challenge(&self, name: &Name) {
        let mut challenges = self.challenges.write();
        challenges.remove(name);
        self.challenged.set(challenges.len() as i64);
    }

    /// Whom a client gets that asks for this name.
    fn choose(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let table = Arc::clone(&self.table.read());
        let named = name.and_then(|name| table.find(&name.to_ascii_lowercase()));
        named.or(table.default.as_ref()).cloned()
    }

    fn challenge(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let name = Name::parse(name?)?;
        self.challenges.read().get(&name).cloned()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let asks_for_challenge = hello
            .alpn()
            .is_some_and(|mut offered| offered.any(|protocol| protocol == ACME_TLS));
        if asks_for_challenge {
            self.challenge(hello.server_name())
        } else {
            self.choose(hello.server_name())
        }
    }
}

impl Table {
    fn of(places: &[Placed]) -> Self {
        let mut table = Self::default();
        for certificate in places.iter().filter_map(|it| it.certificate.as_ref()) {
            let key = certificate.key();
            table.default.get_or_insert_with(|| Arc::clone(key));
            for name in certificate.names() {
                let entry = table.by_name.entry(name.as_str().into());
                entry.or_insert_with(|| Arc::clone(key));
            }
        }
        table
    }

    fn find(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let own = self.by_name.get(name);
        own.or_else(|| {
            let (_, domain) = name.split_once('.')?;
            self.by_name.get(&*format!("*.{domain}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::tls::certificate::testing::self_signed;

    fn is(chosen: Option<Arc<CertifiedKey>>, certificates: &Certificates, place: PlaceId) -> bool {
        let placed = certificates.get(place).unwrap();
        Arc::ptr_eq(&chosen.unwrap(), placed.key())
    }

    #[test]
    fn a_client_gets_the_certificate_of_the_name_that_it_asks_for() {
        let certificates = Certificates::new(Gauge::default());
        let [first, wild, own] =
            ["first", "wild", "own"].map(|label| certificates.add_place(label));
        assert!(certificates.choose(Some("a.example")).is_none());
        certificates.put(wild, self_signed(&["*.example"]));
        certificates.put(own, self_signed(&["a.example", "second.org"]));
        assert!(is(certificates.choose(None), &certificates, wild));
        certificates.put(first, self_signed(&["first.org"]));
        for (name, place) in [
            (Some("first.org"), first),
            (Some("a.example"), own),
            (Some("A.Example"), own),
            (Some("second.org"), own),
            (Some("b.example"), wild),
            (Some("x.b.example"), first),
            (Some("example"), first),
            (Some("elsewhere.org"), first),
            (None, first),
        ] {
            assert!(
                is(certificates.choose(name), &certificates, place),
                "{name:?}"
            );
        }
    }

    #[test]
    fn another_certificate_takes_the_place_of_the_last_with_all_its_names() {
        let certificates = Certificates::new(Gauge::default());
        let first = certificates.add_place("first");
        let second = certificates.add_place("second");
        certificates.put(first, self_signed(&["a.example"]));
        certificates.put(second, self_signed(&["b.example"]));
        certificates.put(second, self_signed(&["c.example"]));
        assert!(is(
            certificates.choose(Some("b.example")),
            &certificates,
            first
        ));
        assert!(is(
            certificates.choose(Some("c.example")),
            &certificates,
            second
        ));
        let expiries = certificates.expiries();
        let names: Vec<&str> = expiries.keys().map(|name| &**name).collect();
        assert_eq!(names, ["a.example", "c.example"]);
    }

    #[test]
    fn a_name_expires_with_the_first_of_its_certificates() {
        let certificates = Certificates::new(Gauge::default());
        let [soon, late, unnamed] =
            ["soon", "late", "tls.certificate"].map(|label| certificates.add_place(label));
        let soonest = self_signed(&["a.example", "b.example"]).expiring_in(Duration::from_secs(9));
        let not_after = soonest.not_after();
        certificates.put(soon, soonest);
        certificates.put(late, self_signed(&["a.example", "c.example"]));
        certificates.put(unnamed, self_signed(&["127.0.0.1"]));
        let expiries = certificates.expiries();
        let names: Vec<&str> = expiries.keys().map(|name| &**name).collect();
        let all = ["a.example", "b.example", "c.example", "tls.certificate"];
        assert_eq!(names, all);
        let soon = expiries.iter().filter(|(_, expiry)| **expiry == not_after);
        let soon: Vec<&str> = soon.map(|(name, _)| &**name).collect();
        assert_eq!(soon, ["a.example", "b.example"]);
    }

    #[test]
    fn a_challenge_is_shown_for_its_name_until_it_is_removed() {
        let certificates = Certificates::new(Gauge::default());
        let name = Name::parse("a.example").unwrap();
        let key = self_signed(&["a.example"]).key().as_ref().clone();
        certificates.set_challenge(name.clone(), key);
        assert!(certificates.challenge(Some("A.example")).is_some());
        assert!(certificates.challenge(Some("b.example")).is_none());
        assert!(certificates.challenge(None).is_none());
        assert!(certificates.choose(Some("a.example")).is_none());
        assert_eq!(certificates.challenged.get(), 1);
        certificates.remove_challenge(&name);
        assert_eq!(certificates.challenged.get(), 0);
        assert!(certificates.challenge(Some("a.example")).is_none());
    }
}
