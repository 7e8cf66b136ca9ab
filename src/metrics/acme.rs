//! Certificates that an authority issues.

use super::declare::{Counter, CounterBy, metrics};
use super::labels::AcmeOrder;

metrics! {
    /// The numbers of a node that orders certificates.
    pub struct AcmeMetrics {
        /// Orders of a certificate (ACME) that came to an end, by what came of them.
        orders: CounterBy<AcmeOrder> = "fanfare_acme_orders_total",
        /// Times that what the nodes of the cluster keep together could not be opened: it was sealed with another tls.acme.cluster_secret, or is none of theirs.
        unopened: Counter = "fanfare_acme_unopened_total",
    }
}
