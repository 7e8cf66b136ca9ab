//! The client of the HTTP API.
//!
//! - [`event`]: what is published
//! - [`info`]: what is known of channels
//! - [`request`]: paths, signatures
//! - [`publish`], [`query`], [`users`]: the calls

mod event;
mod info;
mod publish;
mod query;
mod request;
mod users;

use std::fmt;
use std::time::SystemTime;

use serde::de::DeserializeOwned;

pub use event::{Batch, Event};
pub use info::{CachedEvent, ChannelInfo, ChannelState, Info};

use crate::http::{Http, Settings};
use crate::{Authorizer, Config, Error, Invalid, Scheme, refusal};
use request::{Call, Target};

/// A client of the Pusher HTTP API for one app.
///
/// It keeps its connections for the next calls, also across clones, which are cheap: make one and
/// share it. It needs a Tokio runtime.
#[derive(Clone)]
pub struct Client {
    config: Config,
    target: Target,
    http: Http,
}

impl Client {
    /// A client for an app. Nothing is connected yet; an error names the setting that is wrong.
    pub fn new(config: Config) -> Result<Self, Invalid> {
        for (field, value) in [
            ("app_id", config.app_id.as_str()),
            ("key", config.pair.key()),
        ] {
            if value.is_empty() {
                return Err(Invalid::new(field, "must not be empty"));
            }
        }
        let target = Target::new(&config)?;
        let http = Http::new(Settings {
            tls: config.scheme == Scheme::Https,
            ca_certificates: config.ca_certificates.as_deref(),
            connect_timeout: config.connect_timeout,
            timeout: config.timeout,
        })?;
        Ok(Self {
            config,
            target,
            http,
        })
    }

    /// Signs for this app's clients, with this app's keys.
    pub fn authorizer(&self) -> Authorizer {
        self.config.authorizer()
    }

    /// Makes a call, again and again as far as the configuration says so. Each try is signed
    /// afresh: the time is part of the signature.
    async fn call<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<T, Error> {
        let path = self.target.path(&call)?;
        let attempt = |time_left| {
            let now = SystemTime::now();
            let request = self.target.request(&call, &path, &self.config.pair, now);
            self.http.send(request, time_left)
        };
        let body = self.config.retry.run(attempt).await?;
        serde_json::from_slice(&body).map_err(|error| Error::Rejected {
            status: Some(200),
            message: not_an_answer(&body, &error),
        })
    }
}

/// What is said of a success that no Pusher HTTP API answers with.
fn not_an_answer(body: &[u8], error: &serde_json::Error) -> String {
    let words = refusal::sentence(body).unwrap_or_default();
    format!("this is not the answer of a Pusher HTTP API ({error}): {words}")
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
