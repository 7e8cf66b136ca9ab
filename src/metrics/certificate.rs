//! What belongs to one certificate.

use super::declare::{Gauge, metrics};

metrics! {
    /// The numbers of one certificate that is served.
    pub struct CertificateMetrics {
        /// When the certificate expires, in seconds since 1970; the label is the first of its names.
        expiry: Gauge = "fanfare_tls_certificate_expiry_seconds",
    }
}
