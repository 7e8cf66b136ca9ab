//! Certificates that an authority issues.

use super::declare::{CounterBy, metrics};
use super::labels::AcmeOrder;

metrics! {
    /// The numbers of a node that orders certificates.
    pub struct AcmeMetrics {
        /// Orders of a certificate (ACME) that came to an end, by what came of them.
        orders: CounterBy<AcmeOrder> = "fanfare_acme_orders_total",
    }
}
