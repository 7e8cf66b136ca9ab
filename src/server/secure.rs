//! The listener that speaks TLS, and its certificates.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::worker::OverTls;
use super::{ServeError, lasting, listen};
use crate::config::Tls;
use crate::metrics::{Metrics, Table};
use crate::tls::{Certificates, FileError, Looked, Watched, server_config};

/// How often files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The certificates that are served, and the files that they come from.
pub(super) struct Served {
    certificates: Arc<Certificates>,
    watched: Vec<Watched>,
    /// When they expire, by name, as metrics show it.
    shown: BTreeMap<Box<str>, SystemTime>,
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
    for pair in &watched {
        for concern in pair.concerns(&certificates, SystemTime::now()) {
            tracing::warn!("{concern}");
        }
    }
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
    let served = Served {
        certificates,
        watched,
        shown: BTreeMap::new(),
    };
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
        self.show_expiries(metrics);
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
