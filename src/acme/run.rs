//! Ordering and renewing, for as long as the process runs.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::account::account;
use super::answers::Answers;
use super::cluster::{Cluster, LEASE, LOOKS_EVERY, Turn};
use super::complaints::{Complaints, is_in_danger};
use super::directory::{Directory, StartError};
use super::following::Following;
use super::issued::Issued;
use super::kept::Kept;
use super::order::{OrderError, order};
use super::proof::Prover;
use super::schedule::{Failure, Schedule, Step, Validity};
use super::settings::Settings;
use super::shown::Shown;
use crate::metrics::{AcmeMetrics, AcmeOrder, Metrics, Table};
use crate::state::Folder;
use crate::state::common::Common;
use crate::tls::{Certificate, Certificates, PlaceId};

/// How long an order may take in all.
const ORDER_TIMEOUT: Duration = Duration::from_secs(300);
/// How often the clock is looked at again at least: it may be set, and does not go on while a machine sleeps.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);
/// When another node orders, or none can, it is looked again after so long.
const OTHERS_TURN: Duration = Duration::from_secs(5);

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
    /// What is served.
    current: Option<Issued>,
    following: Option<Following>,
    complaints: Complaints,
}

impl Acme {
    /// Takes a place among the certificates, and puts there what an earlier process has kept. Nothing is
    /// ordered yet. `common` is what the nodes of a cluster keep together: with a secret in the settings, they
    /// have one certificate.
    ///
    /// # Errors
    /// When no certificate could be kept, or the directory could not be trusted: every start would order another one.
    pub fn new(
        settings: Settings,
        state: &Folder,
        common: Option<Arc<dyn Common>>,
        certificates: Arc<Certificates>,
        metrics: &Metrics,
    ) -> Result<Self, StartError> {
        let directory = Directory::new(settings.ca_certificates.as_deref())?;
        let kept = Kept::new(state, &settings);
        let folder = kept.folder();
        folder.prepare().map_err(|source| StartError::State {
            path: folder.path().display().to_string(),
            source,
        })?;
        let place = certificates.add_place(settings.domains[0].as_str());
        let secret = settings.cluster_secret.as_deref();
        let following = common.zip(secret).map(|(common, secret)| {
            let domains = settings.domains.clone();
            let unopened = metrics.acme().unopened;
            Following::new(Cluster::new(
                common,
                secret,
                &kept.name(),
                domains,
                unopened,
            ))
        });
        let entries = &metrics.process().table_entries;
        let mut acme = Self {
            directory,
            certificates,
            place,
            answers: Answers::new(entries.with(Table::AcmeAnswers).clone()),
            metrics: metrics.acme(),
            schedule: Schedule::default(),
            current: None,
            following,
            complaints: Complaints::default(),
            kept,
            settings,
        };
        if let Some(issued) = acme.kept.certificate() {
            acme.serve(issued);
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

    /// The turn to order, where several nodes have one certificate: to be given up when this one stops.
    pub fn turn(&self) -> Option<Turn> {
        let following = self.following.as_ref()?;
        Some(Turn(Arc::clone(&following.cluster)))
    }

    /// Orders and renews, for ever.
    pub async fn run(mut self) {
        loop {
            self.look_at_others().await;
            match self.schedule.step(SystemTime::now()) {
                Step::Wait(wait) => {
                    let longest = self.following.as_ref().map(|_| LOOKS_EVERY);
                    let longest = longest.unwrap_or(LONGEST_SLEEP);
                    tokio::time::sleep(wait.min(longest)).await;
                }
                Step::Order if self.may_order().await => self.order().await,
                Step::Order => {
                    let now = SystemTime::now();
                    self.schedule.pause_for(OTHERS_TURN, now);
                }
            }
        }
    }

    /// Takes over what other nodes have, if there are any.
    async fn look_at_others(&mut self) {
        let prover = self.prover();
        if let Some(following) = &mut self.following
            && let Some(issued) = following.look(&prover, self.current.as_ref()).await
        {
            self.received(issued).await;
        }
    }

    /// Whether it is this node that orders. It is then, until it gives that up.
    async fn may_order(&mut self) -> bool {
        let Some(following) = &mut self.following else {
            return true;
        };
        if !following.take_turn().await {
            return false;
        }
        // The node that had it before may have ordered.
        let seen = following.exchange(self.current.as_ref()).await;
        following.note(&seen);
        if let Ok(None) = seen {
            return true;
        }
        let _ends_by_itself = following.cluster.release().await;
        if let Ok(Some(issued)) = seen {
            self.received(issued).await;
        }
        false
    }

    async fn order(&mut self) {
        self.directory.take_retry_after();
        if let Some(following) = &mut self.following {
            following.show_nothing();
        }
        let outcome = tokio::time::timeout(ORDER_TIMEOUT, self.attempt()).await;
        if let Some(following) = &self.following {
            let _ends_by_itself = following.cluster.show_nothing().await;
        }
        match outcome.unwrap_or(Err(OrderError::TooSlow(ORDER_TIMEOUT))) {
            Ok(issued) => self.issued(issued).await,
            Err(error) => {
                self.failed(&error);
                self.keep_others_from_trying().await;
            }
        }
    }

    async fn attempt(&self) -> Result<Issued, OrderError> {
        let cluster = self.following.as_ref().map(|following| &*following.cluster);
        let ordered = async {
            let account = account(&self.directory, &self.kept, &self.settings).await?;
            let domains = &self.settings.domains;
            order(
                (&account, &self.directory),
                domains,
                &self.prover(),
                cluster,
            )
            .await
        };
        match cluster {
            None => ordered.await,
            Some(cluster) => tokio::select! {
                ordered = ordered => ordered,
                never = cluster.hold() => match never {},
            },
        }
    }

    fn prover(&self) -> Prover {
        Prover::new(
            self.settings.challenge,
            Arc::clone(&self.certificates),
            self.answers.clone(),
        )
    }

    async fn issued(&mut self, issued: Issued) {
        // It is kept before it is shown: what clients have seen, the next process has, too.
        self.keep(&issued).await;
        if let Some(following) = &mut self.following {
            let kept = following.cluster.keep_certificate(&issued).await;
            following.note(&kept);
            let _ends_by_itself = following.cluster.release().await;
        }
        let validity = validity(&issued.certificate);
        let days = self.serve(issued);
        self.schedule
            .issued(validity, SystemTime::now(), rand::random());
        self.metrics.orders.with(AcmeOrder::Issued).inc();
        self.complaints.settle();
        tracing::info!(
            domains = self.domains(),
            days,
            "a certificate was issued, and is served from now on"
        );
    }

    async fn received(&mut self, issued: Issued) {
        self.keep(&issued).await;
        let days = self.serve(issued);
        self.schedule.pause_for(OTHERS_TURN, SystemTime::now());
        self.metrics.orders.with(AcmeOrder::Received).inc();
        self.complaints.settle();
        tracing::info!(
            domains = self.domains(),
            days,
            "another node has ordered a certificate, which is served from now on"
        );
    }

    async fn keep(&self, issued: &Issued) {
        let (kept, issued) = (self.kept.clone(), issued.clone());
        let written = tokio::task::spawn_blocking(move || kept.keep_certificate(&issued)).await;
        if let Err(error) = written.map_err(std::io::Error::other).flatten() {
            let folder = self.kept.folder().path().display();
            tracing::warn!(
                %folder, %error,
                "a certificate cannot be kept: it is served, and the next start of the relay orders another one"
            );
        }
    }

    /// Puts a certificate in place. Returns the days that it holds.
    fn serve(&mut self, issued: Issued) -> u64 {
        let validity = validity(&issued.certificate);
        self.certificates
            .put(self.place, issued.certificate.clone());
        self.current = Some(issued);
        self.schedule.found(validity, rand::random());
        let days = validity.not_after.duration_since(SystemTime::now());
        days.unwrap_or_default().as_secs() / 86_400
    }

    /// A directory that has refused one node refuses the next one, too, and counts both: whoever tried goes
    /// on trying, unless it goes away.
    async fn keep_others_from_trying(&self) {
        if let Some(following) = &self.following
            && let Step::Wait(wait) = self.schedule.step(SystemTime::now())
        {
            let _others_try_sooner = following.cluster.lease(wait + LEASE).await;
        }
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
        let reason = error.to_string();
        let served = self.current.as_ref();
        let served = served.map(|issued| validity(&issued.certificate));
        let in_danger = is_in_danger(served, now);
        let is_due = self
            .complaints
            .is_due(failure, &reason, in_danger, Instant::now());
        let hours_left = served.map(|served| {
            let left = served.not_after.duration_since(now);
            left.unwrap_or_default().as_secs() / 3_600
        });
        let (domains, directory) = (self.domains(), &*self.settings.directory);
        if is_due {
            tracing::warn!(
                domains,
                directory,
                reason,
                again_in_s,
                hours_left,
                "no certificate was issued; the one that is there is served, and another order follows"
            );
        } else {
            tracing::debug!(
                domains,
                directory,
                reason,
                again_in_s,
                "still no certificate"
            );
        }
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
