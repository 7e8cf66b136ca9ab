//! Where an app is published to, and how.

use std::fmt;
use std::time::Duration;

use crate::{Authorizer, KeyPair, MasterKey, Retry};

/// How a server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// In plain text.
    Http,
    /// With TLS; certificates are checked against those that the system trusts.
    Https,
}

impl Scheme {
    /// As in a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// An app's credentials, the server that has it, and how patient to be with it.
///
/// The defaults are those of Pusher's official libraries: Pusher itself, cluster `mt1`, over TLS,
/// 10 s to connect and 30 s for a request. For a Fanfare on this machine:
///
/// ```
/// use publisher::{Config, Scheme};
///
/// let config = Config::new("10001", "app-key", "app-secret")
///     .scheme(Scheme::Http)
///     .host("127.0.0.1")
///     .port(6001);
/// ```
///
/// Settings are checked when a [`Client`](crate::Client) is made of them. Secrets never print.
#[derive(Clone)]
pub struct Config {
    pub(crate) app_id: String,
    pub(crate) pair: KeyPair,
    pub(crate) scheme: Scheme,
    host: Option<String>,
    cluster: String,
    port: Option<u16>,
    pub(crate) path: String,
    pub(crate) ca_certificates: Option<Vec<u8>>,
    pub(crate) connect_timeout: Duration,
    pub(crate) timeout: Duration,
    pub(crate) retry: Retry,
    pub(crate) master_key: Option<MasterKey>,
}

impl Config {
    /// An app by its credentials.
    pub fn new(
        app_id: impl Into<String>,
        key: impl Into<String>,
        secret: impl AsRef<[u8]>,
    ) -> Self {
        Self {
            app_id: app_id.into(),
            pair: KeyPair::new(key, secret),
            scheme: Scheme::Https,
            host: None,
            cluster: "mt1".into(),
            port: None,
            path: String::new(),
            ca_certificates: None,
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            retry: Retry::default(),
            master_key: None,
        }
    }

    /// Whether to use TLS; default: [`Scheme::Https`].
    pub fn scheme(mut self, scheme: Scheme) -> Self {
        self.scheme = scheme;
        self
    }

    /// The server's name or address; default: that of the cluster.
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// Which of Pusher's clusters has the app; default: `mt1`. Stands for the host
    /// `api-{cluster}.pusher.com`, unless a [`host`](Self::host) is set, too.
    pub fn cluster(mut self, cluster: impl Into<String>) -> Self {
        self.cluster = cluster.into();
        self
    }

    /// The server's port; default: 443 with TLS, else 80.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// What the server's paths begin with, such as `/relay`; default: nothing. It is not part of
    /// what is signed, as with Pusher's official libraries.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Certificates in PEM that are trusted beside those that the system trusts, such as that of
    /// an authority of your own; default: none.
    pub fn ca_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca_certificates = Some(pem.into());
        self
    }

    /// How long a connection may take to be made; default: 10 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a request may take, from its start to the end of its answer; default: 30 s. Each
    /// try has as long, within [`Retry::total`].
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// What is tried again; default: [`Retry::default`].
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// The key of end-to-end encrypted channels; default: none, and such channels are refused.
    pub fn master_key(mut self, master_key: MasterKey) -> Self {
        self.master_key = Some(master_key);
        self
    }

    /// Signs for this app's clients, with this app's keys.
    pub fn authorizer(&self) -> Authorizer {
        let authorizer = Authorizer::new(self.pair.clone());
        match &self.master_key {
            Some(master_key) => authorizer.master_key(master_key.clone()),
            None => authorizer,
        }
    }

    /// The app's key and secret, such as for a [`WebhookVerifier`](crate::WebhookVerifier).
    pub fn key_pair(&self) -> &KeyPair {
        &self.pair
    }

    /// Where the server is, `scheme://host:port`, without a check. An IPv6 address is put into
    /// brackets.
    pub fn origin(&self) -> String {
        let host = match &self.host {
            Some(host) if host.contains(':') && !host.starts_with('[') => format!("[{host}]"),
            Some(host) => host.clone(),
            None => format!("api-{}.pusher.com", self.cluster),
        };
        let port = self.port.unwrap_or(self.scheme.default_port());
        format!("{}://{host}:{port}", self.scheme.as_str())
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("app_id", &self.app_id)
            .field("pair", &self.pair)
            .field("origin", &self.origin())
            .field("path", &self.path)
            .field("connect_timeout", &self.connect_timeout)
            .field("timeout", &self.timeout)
            .field("retry", &self.retry)
            .field("master_key", &self.master_key)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_defaults_to_pushers_cluster() {
        let config = Config::new("1", "key", "secret");
        assert_eq!(config.origin(), "https://api-mt1.pusher.com:443");
        let config = config.cluster("eu");
        assert_eq!(config.origin(), "https://api-eu.pusher.com:443");
        let config = config.host("::1").scheme(Scheme::Http);
        assert_eq!(config.origin(), "http://[::1]:80");
        assert_eq!(config.port(6001).origin(), "http://[::1]:6001");
    }

    #[test]
    fn secrets_do_not_print() {
        let config = Config::new("1", "key", "hidden").master_key(MasterKey::new([7; 32]));
        let printed = format!("{config:?}");
        assert!(
            !printed.contains("hidden") && !printed.contains("7, 7"),
            "{printed}"
        );
    }
}
