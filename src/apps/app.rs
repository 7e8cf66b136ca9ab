//! One app's record.

use std::time::Duration;

use super::{Keys, Limits, Origins, Resume, Webhook};
use crate::auth::Signer;

/// An app: a name space of channels with its own credentials, features and limits.
#[derive(Clone, Debug, PartialEq)]
pub struct App {
    /// What publishers name in `/apps/{id}/…`; not empty.
    pub id: Box<str>,
    /// A disabled app is known but serves nobody: 4003 for its clients, 403 for its publishers.
    pub enabled: bool,
    /// The key pairs, the signing one first.
    pub keys: Keys,
    /// Whether clients may send `client-` events on private and presence channels.
    pub client_events: bool,
    /// Whether subscribers are sent their number.
    pub subscription_count: bool,
    /// The pages that may connect.
    pub allowed_origins: Origins,
    /// Whether everybody knows a secret of the app, as that of the development app. Then any web
    /// page could sign for it, and the HTTP API is kept from those that may not connect.
    pub secret_is_known: bool,
    /// How long a connection may live without having signed in or subscribed to an authorised
    /// channel; `None`: for ever.
    pub authorized_connections_timeout: Option<Duration>,
    /// Whether a signed-in user's connections are sent who of their watchlist is online.
    pub watchlist: bool,
    /// How long a user without a connection still counts as online for those who watch them.
    pub watchlist_grace: Duration,
    /// Where the app's backend is notified.
    pub webhooks: Vec<Webhook>,
    /// How sessions outlive their connections.
    pub resume: Resume,
    /// The app's limits.
    pub limits: Limits,
}

/// A host name that an app with a secret that everybody knows does not answer to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an app with the secret `local` does not answer to the host name {0:?}: use 127.0.0.1 or localhost, or configure \
     an app of your own"
)]
pub struct UnknownHost(String);

impl App {
    /// Whether what goes to this `Host` may come from a page that may connect; see
    /// [`knows_host`](Origins::knows_host). A secret of one's own is all that others need. Browsers never leave the
    /// header out.
    pub fn check_host(&self, host: Option<&[u8]>) -> Result<(), UnknownHost> {
        match host {
            Some(host) if self.secret_is_known && !self.allowed_origins.knows_host(host) => {
                Err(UnknownHost(String::from_utf8_lossy(host).into_owned()))
            }
            _ => Ok(()),
        }
    }

    /// The default of `watchlist_grace`: a page has time to be loaded again.
    pub const WATCHLIST_GRACE: Duration = Duration::from_secs(3);

    /// An enabled app with one key pair and every other setting at its default.
    pub fn new(id: impl Into<Box<str>>, pair: Signer) -> Self {
        Self {
            id: id.into(),
            enabled: true,
            keys: Keys::new(pair, Vec::new()),
            client_events: true,
            subscription_count: false,
            allowed_origins: Origins::any(),
            secret_is_known: false,
            authorized_connections_timeout: None,
            watchlist: false,
            watchlist_grace: Self::WATCHLIST_GRACE,
            webhooks: Vec::new(),
            resume: Resume::default(),
            limits: Limits::default(),
        }
    }
}
