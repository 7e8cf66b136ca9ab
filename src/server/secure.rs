//! The listener that speaks TLS, and its certificates.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::worker::OverTls;
use super::{ServeError, lasting, listen};
use crate::config::Tls;
use crate::metrics::{Metrics, Table};
use crate::throttle::Throttle;
use crate::tls::{Certificates, FileError, Looked, Watched, server_config};

/// How often files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The certificates that are served, and the files that they come from.
pub(super) struct Served {
    certificates: Arc<Certificates>,
    watched: Vec<Watched>,
    /// When they expire, by name, as metrics show it.
    shown: BTreeMap<Box<str>, SystemTime>,
    /// When it is logged again what is wrong with them: most of it has an end by which it is to be mended.
    concerns: Throttle,
}

/// Listens where the configuration says, if it does, with the certificates that it names.
pub(super) fn listen(
    settings: &Tls,
    metrics: &Metrics,
) -> Result<Option<(OverTls, Served)>, ServeError> {
    let Some(address) = &settings.listen else {
        return Ok(None);
    };
    let entries = &metrics.process().table_entries;
    let certificates = Certificates::new(entries.with(Table::AcmeChallenges).clone());
    let watched = settings.pairs.iter().cloned();
    let watched = watched.map(|pair| Watched::begin(pair, &certificates));
    let watched = watched.collect::<Result<Vec<_>, FileError>>()?;
    let over_tls = OverTls {
        listeners: listen::bind(address, "tls.listen")?,
        config: Arc::new(server_config(
            Arc::clone(&certificates),
            settings.minimum,
            settings.http2,
        )?),
        handshake_timeout: settings.handshake_timeout,
        proxy_protocol: settings.proxy_protocol,
    };
    let mut served = Served {
        certificates,
        watched,
        shown: BTreeMap::new(),
        concerns: Throttle::daily(),
    };
    served.complain(Instant::now());
    Ok(Some((over_tls, served)))
}

impl Served {
    /// Those that are served: others may put theirs among them.
    pub(super) fn certificates(&self) -> Arc<Certificates> {
        Arc::clone(&self.certificates)
    }

    /// Looks at the files now and then, on a thread that may wait for them, and counts.
    pub(super) async fn watch(self, metrics: Metrics) {
        let look = move |served: &mut Self| served.look(&metrics);
        lasting::repeat("certificates", LOOK_EVERY, self, look).await;
    }

    fn look(&mut self, metrics: &Metrics) {
        for watched in &mut self.watched {
            match watched.look(&self.certificates, Instant::now()) {
                Looked::Unchanged => {}
                Looked::Renewed(certificate) => {
                    let file = watched.pair().certificate.path.display();
                    let hours = hours_left(certificate.not_after());
                    tracing::info!(%file, hours, "serves another certificate");
                    for concern in watched.concerns(&self.certificates, SystemTime::now()) {
                        tracing::warn!("{concern}");
                    }
                }
                Looked::Failed(error) => {
                    metrics.process().tls_reload_failures.inc();
                    tracing::warn!("{error}; the certificate that is served stays");
                }
            }
        }
        self.complain(Instant::now());
        self.show_expiries(metrics);
    }

    /// Logs what an operator should know of the certificates that come from files, once a day.
    fn complain(&mut self, now: Instant) {
        for concern in self.due_concerns(now) {
            tracing::warn!("{concern}");
        }
    }

    fn due_concerns(&mut self, now: Instant) -> Vec<String> {
        if !self.concerns.lets_through(now) {
            return Vec::new();
        }
        let concerns = self.watched.iter();
        concerns
            .flat_map(|watched| watched.concerns(&self.certificates, SystemTime::now()))
            .collect()
    }

    fn show_expiries(&mut self, metrics: &Metrics) {
        let expiries = self.certificates.expiries();
        for (name, not_after) in &expiries {
            let since_1970 = not_after.duration_since(UNIX_EPOCH).unwrap_or_default();
            let gauge = metrics.certificate(name).expiry;
            gauge.set(since_1970.as_secs() as i64);
        }
        for name in self.shown.keys().filter(|it| !expiries.contains_key(*it)) {
            metrics.forget_certificate(name);
        }
        self.shown = expiries;
    }
}

/// Until then; 0 if it has passed.
fn hours_left(time: SystemTime) -> u64 {
    let left = time.duration_since(SystemTime::now()).unwrap_or_default();
    left.as_secs() / 3600
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rcgen::{CertificateParams, KeyPair};

    use super::*;
    use crate::metrics::Gauge;
    use crate::tls::{Pair, Setting};

    const HOUR: Duration = Duration::from_secs(3_600);

    /// What is served of files with a certificate that expires in a day.
    fn served(folder: &std::path::Path) -> Served {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        params.not_after = (SystemTime::now() + 24 * HOUR).into();
        let certificate = params.self_signed(&key).unwrap();
        let setting = |name: &str, text: String| {
            let path = folder.join(name);
            fs::write(&path, text).unwrap();
            let key = format!("tls.{name}");
            Setting { key, path }
        };
        let pair = Pair {
            certificate: setting("certificate", certificate.pem()),
            key: setting("key", key.serialize_pem()),
            names: Vec::new(),
        };
        let certificates = Certificates::new(Gauge::default());
        Served {
            watched: vec![Watched::begin(pair, &certificates).unwrap()],
            certificates,
            shown: BTreeMap::new(),
            concerns: Throttle::daily(),
        }
    }

    #[test]
    fn a_certificate_that_is_about_to_expire_is_complained_of_each_day() {
        let folder = tempfile::tempdir().unwrap();
        let mut served = served(folder.path());
        let start = Instant::now();
        let mut complains = |after| {
            let concerns = served.due_concerns(start + after);
            concerns
                .iter()
                .any(|concern| concern.contains("expires in"))
        };
        assert!(complains(Duration::ZERO));
        assert!(!complains(23 * HOUR));
        assert!(complains(24 * HOUR));
        assert!(!complains(25 * HOUR));
    }
}
