//! What the environment and the flags set.
//!
//! Every value in [`Settings`] is valid; what is wrong is reported in one line that names the variable
//! and what is expected of it.
//!
//! - [`environment`]: reading variables; [`env_file`]: those of a file
//! - [`load`]: what they mean

mod env_file;
mod environment;
mod load;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use environment::{Environment, SettingError};
pub use load::database_url;
use service::net::deadline::Waits;

use crate::http::{TrustedProxies, WebhookSecrets};
use crate::media::{self, Folder};
use crate::outbox::Timing;
use crate::store::DatabaseUrl;
use crate::whatsapp::graph;
use crate::whatsapp::templates::Templates;

/// What `serve` needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the endpoints are served.
    pub listen: SocketAddr,
    /// Where metrics are served, if they are.
    pub metrics_listen: Option<SocketAddr>,
    /// The database.
    pub database: DatabaseUrl,
    /// How long a request waits for it.
    pub database_wait: Duration,
    /// The folder of the built inbox.
    pub page: PathBuf,
    /// Whose web pages may call.
    pub origins: Origins,
    /// Proxies that are believed about those for whom they ask.
    pub proxies: TrustedProxies,
    /// How long connections may wait.
    pub waits: Waits,
    /// How long tokens are worth something.
    pub token_lifetime: Duration,
    /// How long after a connection was authorised it may still subscribe.
    pub authorisations: Duration,
    /// What Meta and this service share.
    pub webhooks: WebhookSecrets,
    /// Where replies are sent from, if they are.
    pub replies: Option<graph::Sender>,
    /// How long after it was written a reply is tried again.
    pub replies_retried: Duration,
    /// The templates that agents may send.
    pub templates: Templates,
    /// Where the files of messages are kept.
    pub media: Folder,
    /// How much is kept there.
    pub media_limits: media::Limits,
    /// Where events go.
    pub broadcast: publisher::Connection,
    /// The relay's app, which signs for its clients.
    pub relay: Option<publisher::Config>,
    /// How long the outbox's work may take.
    pub timing: Timing,
    /// How long what was sent is kept.
    pub kept: Duration,
}

/// Whose web pages may call the endpoints from a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Everybody's: tokens are not sent by browsers of their own accord.
    All,
    /// Those of these origins.
    These(Vec<String>),
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Human,
    /// A JSON object a line.
    Json,
}

/// What is logged, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// How.
    pub format: LogFormat,
    /// The least important that is.
    pub level: tracing::level_filters::LevelFilter,
}
