//! What a node takes over from the others of its cluster.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::cluster::{Cluster, LEASE};
use super::issued::Issued;
use super::proof::{Proof, Prover, Shown};
use crate::state::common::OutOfReach;

/// How often the certificate is looked at, once there is one.
const CERTIFICATE_EVERY: Duration = Duration::from_secs(10);
/// How long the store may be out of reach without a line in the log: it is while a node starts.
const PATIENCE: Duration = Duration::from_secs(5);

/// One node's view of its cluster.
#[derive(Debug)]
pub(super) struct Following {
    pub(super) cluster: Arc<Cluster>,
    /// What another node wants to be shown, and that it is shown.
    wanted: Vec<Shown>,
    proofs: Vec<Proof>,
    looked_at: Option<Instant>,
    /// Since when the store cannot be reached.
    away_since: Option<Instant>,
    /// That was logged.
    is_logged: bool,
    /// That another node has the turn for long was logged.
    is_turn_logged: bool,
}

impl Following {
    pub(super) fn new(cluster: Cluster) -> Self {
        Self {
            cluster: Arc::new(cluster),
            wanted: Vec::new(),
            proofs: Vec::new(),
            looked_at: None,
            away_since: None,
            is_logged: false,
            is_turn_logged: false,
        }
    }

    /// Asks for the turn to order, and logs once that another node has it for longer than an order takes.
    pub(super) async fn take_turn(&mut self) -> bool {
        let leased = self.cluster.lease(LEASE).await;
        self.note(&leased);
        match leased {
            Ok(true) => self.is_turn_logged = false,
            Ok(false) if !self.is_turn_logged => self.note_turn().await,
            Ok(false) | Err(OutOfReach) => {}
        }
        leased == Ok(true)
    }

    async fn note_turn(&mut self) {
        let Ok(left) = self.cluster.leased_for().await else {
            return;
        };
        if left <= LEASE {
            return;
        }
        self.is_turn_logged = true;
        tracing::info!(
            left_s = left.as_secs(),
            "this node orders no certificate meanwhile: another node of the cluster, or one that has gone, has ordered in vain and \
             has the turn"
        );
    }

    /// Shows what another node wants to be shown, keeps the certificate in the store, and returns the one
    /// that is there if it supersedes ours.
    pub(super) async fn look(
        &mut self,
        prover: &Prover,
        current: Option<&Issued>,
    ) -> Option<Issued> {
        let seen = self.try_to_look(prover, current).await;
        self.note(&seen);
        let found = seen.ok().flatten();
        if found.is_some() {
            self.is_turn_logged = false;
        }
        found
    }

    async fn try_to_look(
        &mut self,
        prover: &Prover,
        current: Option<&Issued>,
    ) -> Result<Option<Issued>, OutOfReach> {
        let wanted = self.cluster.proofs().await?;
        if wanted != self.wanted {
            self.show(prover, wanted);
        }
        let now = Instant::now();
        let is_due = |at: Instant| now.saturating_duration_since(at) >= CERTIFICATE_EVERY;
        if current.is_some() && !self.looked_at.is_none_or(is_due) {
            return Ok(None);
        }
        let seen = self.exchange(current).await?;
        self.looked_at = Some(now);
        Ok(seen)
    }

    /// A certificate in the store that supersedes ours; if ours supersedes that, it is put there.
    pub(super) async fn exchange(
        &self,
        current: Option<&Issued>,
    ) -> Result<Option<Issued>, OutOfReach> {
        let kept = self.cluster.certificate().await?;
        let now = SystemTime::now();
        match (current, kept) {
            (Some(ours), kept) if ours.supersedes(kept.as_ref(), now) => {
                self.cluster.keep_certificate(ours).await?;
                Ok(None)
            }
            (ours, Some(kept)) if kept.supersedes(ours, now) => Ok(Some(kept)),
            _ => Ok(None),
        }
    }

    /// Nothing of another node is shown any more: this one orders.
    pub(super) fn show_nothing(&mut self) {
        self.proofs.clear();
        self.wanted.clear();
    }

    fn show(&mut self, prover: &Prover, wanted: Vec<Shown>) {
        // What is dropped takes back what it has shown, which may be for the same name.
        self.proofs.clear();
        self.proofs = wanted
            .iter()
            .filter_map(|shown| prover.prove(shown))
            .collect();
        self.wanted = wanted;
    }

    /// Logs that the store cannot be reached, once, unless that is soon over.
    pub(super) fn note<T>(&mut self, outcome: &Result<T, OutOfReach>) {
        if outcome.is_ok() {
            self.away_since = None;
            self.is_logged = false;
            return;
        }
        let since = *self.away_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= PATIENCE && !self.is_logged {
            self.is_logged = true;
            tracing::warn!(
                "certificates are not shared with the other nodes: {OutOfReach}; none is ordered meanwhile"
            );
        }
    }
}
