//! Several nodes with one certificate: one of them orders it, and all show the authority what it wants to see.
//!
//! The nodes look at their common store every second. Whoever can write there can show nothing of his own, and
//! put no certificate in place: all is sealed. He can remove it, which costs another order.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;

use super::issued::Issued;
use super::proof::Shown;
use super::seal::Seal;
use crate::metrics::Counter;
use crate::state::common::{Common, OutOfReach};
use crate::throttle::Throttle;
use crate::tls::Name;

/// How often the store is looked at.
pub(super) const LOOKS_EVERY: Duration = Duration::from_secs(1);
/// How long other nodes are given to see what they are to show.
const SEEN_WITHIN: Duration = Duration::from_secs(3);
/// How long it is shown at most, if the node that orders has gone meanwhile.
const SHOWN_FOR: Duration = Duration::from_secs(300);
/// How long a node may be silent while it orders, before another one does.
pub(super) const LEASE: Duration = Duration::from_secs(30);
/// Larger than what is kept of a certificate, or to be shown for so many names as one may have.
const LONGEST_VALUE: usize = 1 << 20;
/// After an order, the next node in turn may begin.
const RELEASED: Duration = Duration::from_millis(1);
/// How long a node that stops may take to say so.
const GIVEN_UP_WITHIN: Duration = Duration::from_secs(1);

/// What the nodes that are to serve one certificate have in common.
#[derive(Debug)]
pub(super) struct Cluster {
    store: Arc<dyn Common>,
    seal: Seal,
    names: Names,
    /// This node, among those that might order.
    node: String,
    domains: Vec<Name>,
    /// Counts what cannot be opened.
    unopened: Counter,
    /// How often that is logged.
    complaints: Mutex<Throttle>,
}

/// A node's turn to order, if it has it. It has it for as long as it waits after an order that failed, which may be hours.
#[derive(Debug)]
pub struct Turn(pub(super) Arc<Cluster>);

impl Turn {
    /// Lets other nodes order, when this one goes away and orders no more. Of a store that cannot be reached they get the
    /// turn when its time is over.
    pub async fn give_up(self) {
        let _ends_by_itself = tokio::time::timeout(GIVEN_UP_WITHIN, self.0.release()).await;
    }
}

/// What the parts are called in the store, and sealed for.
#[derive(Debug)]
struct Names {
    certificate: String,
    proofs: String,
    lease: String,
}

impl Cluster {
    /// The nodes that have this store, this secret, and a certificate of this name. `unopened` counts what
    /// cannot be opened with it.
    pub(super) fn new(
        store: Arc<dyn Common>,
        secret: &str,
        certificate: &str,
        domains: Vec<Name>,
        unopened: Counter,
    ) -> Self {
        let name = |part| format!("acme/{certificate}/{part}");
        Self {
            store,
            seal: Seal::new(secret),
            names: Names {
                certificate: name("certificate"),
                proofs: name("proofs"),
                lease: name("lease"),
            },
            node: hex::encode(rand::random::<[u8; 16]>()),
            domains,
            unopened,
            complaints: Mutex::default(),
        }
    }

    /// The certificate that a node has ordered, if it can be used.
    pub(super) async fn certificate(&self) -> Result<Option<Issued>, OutOfReach> {
        let pem = self.opened(&self.names.certificate).await?;
        Ok(pem.and_then(|pem| Issued::from_pem(pem, &self.domains).ok()))
    }

    /// What was sealed under this name. Anything else counts as missing.
    async fn opened(&self, name: &str) -> Result<Option<Vec<u8>>, OutOfReach> {
        let Some(sealed) = self.store.get(name, LONGEST_VALUE).await? else {
            return Ok(None);
        };
        let opened = self.seal.open(name, &sealed);
        if opened.is_none() {
            self.unopened.inc();
            if self.complaints.lock().lets_through(Instant::now()) {
                tracing::warn!(
                    name,
                    "what the cluster keeps of a certificate cannot be opened, and counts as missing: it was \
                     sealed with another tls.acme.cluster_secret, or changed"
                );
            }
        }
        Ok(opened)
    }

    /// Keeps a certificate for the other nodes, as long as it holds.
    pub(super) async fn keep_certificate(&self, issued: &Issued) -> Result<(), OutOfReach> {
        let left = issued
            .certificate
            .not_after()
            .duration_since(SystemTime::now());
        let name = &self.names.certificate;
        let sealed = self.seal.seal(name, issued.pem.as_bytes());
        self.store.put(name, sealed, left.unwrap_or_default()).await
    }

    /// What another node wants all nodes to show to the authority.
    pub(super) async fn proofs(&self) -> Result<Vec<Shown>, OutOfReach> {
        let opened = self.opened(&self.names.proofs).await?;
        let proofs = opened.and_then(|json| serde_json::from_slice(&json).ok());
        Ok(proofs.unwrap_or_default())
    }

    /// Has all nodes show this to the authority, and waits until they do.
    pub(super) async fn show(&self, proofs: &[Shown]) -> Result<(), OutOfReach> {
        let name = &self.names.proofs;
        let json = serde_json::to_vec(proofs).map_err(|_| OutOfReach)?;
        let sealed = self.seal.seal(name, &json);
        self.store.put(name, sealed, SHOWN_FOR).await?;
        tokio::time::sleep(SEEN_WITHIN).await;
        Ok(())
    }

    /// Ends what [`show`](Self::show) began.
    pub(super) async fn show_nothing(&self) -> Result<(), OutOfReach> {
        self.store.remove(&self.names.proofs).await
    }

    /// Whether this node may order for so long; no other one does.
    pub(super) async fn lease(&self, lasts: Duration) -> Result<bool, OutOfReach> {
        self.store.lease(&self.names.lease, &self.node, lasts).await
    }

    /// For how long another node still may order, and this one may not.
    pub(super) async fn leased_for(&self) -> Result<Duration, OutOfReach> {
        self.store.leased_for(&self.names.lease).await
    }

    /// Another node may order, if it still has to.
    pub(super) async fn release(&self) -> Result<bool, OutOfReach> {
        self.lease(RELEASED).await
    }

    /// Holds the lease, until the future is dropped.
    pub(super) async fn hold(&self) -> std::convert::Infallible {
        loop {
            tokio::time::sleep(LEASE / 3).await;
            // One that cannot be renewed is tried again: the order is under way.
            let _renewed = self.lease(LEASE).await;
        }
    }
}
