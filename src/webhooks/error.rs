//! Why webhooks cannot be sent.

use std::io;

/// Why webhooks cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The journal cannot be used.
    #[error("cannot use the folder {folder} (webhooks.journal): {source}")]
    Journal {
        /// The folder as configured.
        folder: String,
        /// What the system said.
        source: io::Error,
    },
    /// The operator's certificates cannot be used.
    #[error("cannot use the certificates {path} (webhooks.ca_certificates): {reason}")]
    Certificates {
        /// The file as configured.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The HTTP client cannot be made, such as for want of certificates to trust.
    #[error("cannot prepare to send webhooks: {0}")]
    Client(#[from] reqwest::Error),
    /// They could not be sent before.
    #[error("webhooks cannot be sent before the relay is started again")]
    Failed,
    /// The system refused a thread.
    #[error("cannot start to send webhooks: {0}")]
    Thread(#[from] io::Error),
}
