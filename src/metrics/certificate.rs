//! What belongs to the certificates for one name.

use super::declare::{Gauge, metrics};

metrics! {
    /// The numbers of the certificates for one name.
    pub struct CertificateMetrics {
        /// When the first of the certificates for a name expires, in seconds since 1970.
        expiry: Gauge = "fanfare_tls_certificate_expiry_seconds",
    }
}
