//! Ordering and renewing, for as long as the process runs.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::account::account;
use super::answers::Answers;
use super::directory::{Directory, StartError};
use super::kept::Kept;
use super::order::{Issued, OrderError, order};
use super::proof::Prover;
use super::schedule::{Failure, Schedule, Step, Validity};
use super::settings::Settings;
use super::shown::Shown;
use crate::metrics::{AcmeMetrics, AcmeOrder};
use crate::state::Folder;
use crate::tls::{Certificate, Certificates, PlaceId};

/// How long an order may take in all.
const ORDER_TIMEOUT: Duration = Duration::from_secs(300);
/// How often the clock is looked at again at least: it may be set, and does not go on while a machine sleeps.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);

/// One certificate, ordered and renewed.
#[derive(Debug)]
pub struct Acme {
    settings: Settings,
    directory: Directory,
    kept: Kept,
    certificates: Arc<Certificates>,
    place: PlaceId,
    answers: Answers,
    metrics: AcmeMetrics,
    schedule: Schedule,
    /// What the log was told last, until an order succeeds.
    logged: Option<(Failure, String)>,
}

impl Acme {
    /// Takes a place among the certificates, and puts there what an earlier process has kept. Nothing is
    /// ordered yet.
    ///
    /// # Errors
    /// When no certificate could be kept, or the directory could not be trusted: every start would order another one.
    pub fn new(
        settings: Settings,
        state: &Folder,
        certificates: Arc<Certificates>,
        metrics: AcmeMetrics,
    ) -> Result<Self, StartError> {
        let directory = Directory::new(settings.ca_certificates.as_deref())?;
        let kept = Kept::new(state, &settings);
        let folder = kept.folder();
        folder.prepare().map_err(|source| StartError::State {
            path: folder.path().display().to_string(),
            source,
        })?;
        let place = certificates.add_place(settings.domains[0].as_str());
        let mut acme = Self {
            directory,
            certificates,
            place,
            answers: Answers::default(),
            metrics,
            schedule: Schedule::default(),
            logged: None,
            kept,
            settings,
        };
        if let Some(certificate) = acme.kept.certificate() {
            acme.schedule.found(validity(&certificate), rand::random());
            acme.certificates.put(place, certificate);
        } else {
            tracing::info!(
                domains = acme.domains(), directory = %acme.settings.directory,
                "there is no certificate yet: one is ordered, and until it is there no client can connect over TLS"
            );
        }
        Ok(acme)
    }

    /// What others are shown of it.
    pub fn shown(&self) -> Shown {
        Shown {
            answers: self.answers.clone(),
            certificates: Arc::clone(&self.certificates),
            place: self.place,
            first_domain: self.settings.domains[0].clone(),
        }
    }

    /// Orders and renews, for ever.
    pub async fn run(mut self) {
        loop {
            match self.schedule.step(SystemTime::now()) {
                Step::Wait(wait) => tokio::time::sleep(wait.min(LONGEST_SLEEP)).await,
                Step::Order => self.order().await,
            }
        }
    }

    async fn order(&mut self) {
        self.directory.take_retry_after();
        let outcome = tokio::time::timeout(ORDER_TIMEOUT, self.attempt()).await;
        match outcome.unwrap_or(Err(OrderError::TooSlow(ORDER_TIMEOUT))) {
            Ok(issued) => self.issued(issued).await,
            Err(error) => self.failed(&error),
        }
    }

    async fn attempt(&self) -> Result<Issued, OrderError> {
        let account = account(&self.directory, &self.kept, &self.settings).await?;
        let prover = Prover::new(
            self.settings.challenge,
            Arc::clone(&self.certificates),
            self.answers.clone(),
        );
        order(&account, &self.settings.domains, &prover).await
    }

    async fn issued(&mut self, issued: Issued) {
        let certificate = issued.certificate.clone();
        // It is kept before it is shown: what clients have seen, the next process has, too.
        let kept = self.kept.clone();
        let written = tokio::task::spawn_blocking(move || kept.keep_certificate(&issued)).await;
        if let Err(error) = written.map_err(std::io::Error::other).flatten() {
            let folder = self.kept.folder().path().display();
            tracing::warn!(
                %folder, %error,
                "a certificate cannot be kept: it is served, and the next start of the relay orders another one"
            );
        }
        let validity = validity(&certificate);
        self.certificates.put(self.place, certificate);
        self.metrics.orders.with(AcmeOrder::Issued).inc();
        self.schedule
            .issued(validity, SystemTime::now(), rand::random());
        self.logged = None;
        let days = validity.not_after.duration_since(SystemTime::now());
        let days = days.unwrap_or_default().as_secs() / 86_400;
        tracing::info!(
            domains = self.domains(),
            days,
            "a certificate was issued, and is served from now on"
        );
    }

    fn failed(&mut self, error: &OrderError) {
        let failure = error.failure();
        if error.is_of_account()
            && let Err(error) = self.kept.forget_account()
        {
            tracing::warn!(%error, "an account that is of no use cannot be removed");
        }
        let retry_after = self.directory.take_retry_after();
        let now = SystemTime::now();
        self.schedule
            .failed(failure, retry_after, now, rand::random());
        let again_in_s = match self.schedule.step(now) {
            Step::Wait(wait) => wait.as_secs(),
            Step::Order => 0,
        };
        // A directory that is away is away for many reasons in turn; another one that it gives is news.
        let reason = error.to_string();
        let compared = match failure {
            Failure::Unreachable => String::new(),
            _ => reason.clone(),
        };
        let logged = Some((failure, compared));
        let (domains, directory) = (self.domains(), &*self.settings.directory);
        if self.logged == logged {
            tracing::debug!(
                domains,
                directory,
                reason,
                again_in_s,
                "still no certificate"
            );
        } else {
            tracing::warn!(
                domains,
                directory,
                reason,
                again_in_s,
                "no certificate was issued; the one that is there is served, and another order follows"
            );
        }
        self.logged = logged;
        self.metrics.orders.with(failure.into()).inc();
    }

    fn domains(&self) -> String {
        let names: Vec<&str> = self
            .settings
            .domains
            .iter()
            .map(|name| name.as_str())
            .collect();
        names.join(", ")
    }
}

fn validity(certificate: &Certificate) -> Validity {
    Validity {
        not_before: certificate.not_before(),
        not_after: certificate.not_after(),
    }
}

impl From<Failure> for AcmeOrder {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unreachable => Self::Unreachable,
            Failure::RateLimited => Self::RateLimited,
            Failure::Refused => Self::Refused,
            Failure::Unusable => Self::Unusable,
        }
    }
}
