//! The driver `ably`.
//!
//! Source: Ably's REST API, "Publish messages", and laravel/framework, `AblyBroadcaster`.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request, Url};
use serde::Serialize;

use super::{Broadcast, BroadcastFuture, Broadcaster};
use crate::channel::{PRESENCE, PRIVATE};
use crate::http::{Http, Settings};
use crate::json::to_php;
use crate::{Error, Invalid, Retry};

/// Ably's REST API.
const ABLY: &str = "https://rest.ably.io";

/// Where the driver [`ably`](AblyBroadcaster) publishes. The key never prints.
#[derive(Clone)]
#[must_use = "a configuration does nothing until a driver is made of it"]
pub struct AblyConfig {
    key: String,
    endpoint: String,
    connect_timeout: Duration,
    timeout: Duration,
    retry: Retry,
}

impl AblyConfig {
    /// An app by its API key, `APP.NAME:SECRET`.
    pub fn new(key: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            endpoint: ABLY.into(),
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            retry: Retry::default(),
        }
    }

    /// Another server that speaks Ably's REST API, by its URL; default: `https://rest.ably.io`.
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = url.into();
        self
    }

    /// How long a connection may take to be made; default: 10 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a request may take, from its start to the end of its answer; default: 30 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// What is tried again; default: [`Retry::default`].
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }
}

impl fmt::Debug for AblyConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AblyConfig")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// Publishes over Ably's REST API, to channels named as Laravel's `AblyBroadcaster` names them:
/// `private-x` becomes `private:x`, `presence-x` `presence:x`, and any other `public:x`.
///
/// Each channel is a request of its own, one after the other. A message carries an id by which
/// Ably knows it again: the broadcast's, else one made up for its retries.
#[derive(Clone)]
pub struct AblyBroadcaster {
    endpoint: Url,
    authorization: HeaderValue,
    http: Http,
    retry: Retry,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    name: &'a str,
    data: String,
    encoding: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection_key: Option<&'a str>,
    id: &'a str,
}

impl AblyBroadcaster {
    /// Publishes to this app. Nothing is connected yet; an error names the setting that is wrong.
    pub fn new(config: AblyConfig) -> Result<Self, Invalid> {
        if !config.key.contains(':') {
            return Err(Invalid::new("key", "must be APP.NAME:SECRET"));
        }
        let authorization = format!("Basic {}", BASE64.encode(&config.key));
        let mut authorization =
            HeaderValue::from_str(&authorization).expect("base64 may stand in a header");
        authorization.set_sensitive(true);
        let endpoint = Url::parse(&config.endpoint)
            .map_err(|error| Invalid::new("endpoint", error.to_string()))?;
        if !matches!(endpoint.scheme(), "http" | "https") {
            return Err(Invalid::new(
                "endpoint",
                "must begin with http:// or https://",
            ));
        }
        let http = Http::new(Settings {
            tls: endpoint.scheme() == "https",
            ca_certificates: None,
            connect_timeout: config.connect_timeout,
            timeout: config.timeout,
        })?;
        Ok(Self {
            endpoint,
            authorization,
            http,
            retry: config.retry,
        })
    }

    async fn publish(&self, broadcast: &Broadcast) -> Result<(), Error> {
        let id = match broadcast.id() {
            Some(id) => Cow::Borrowed(id),
            None => Cow::Owned(hex::encode(rand::random::<[u8; 16]>())),
        };
        let message = Message {
            name: broadcast.event(),
            data: to_php(&broadcast.payload_with_socket()?),
            encoding: "json",
            connection_key: broadcast.socket_id().map(|id| id.as_str()),
            id: &id,
        };
        let body = serde_json::to_vec(&message).expect("strings can be put into JSON");
        let body = Bytes::from(body);
        for channel in broadcast.channels() {
            let url = self.url(&channel_name(channel.name()));
            let attempt = |time_left| {
                let request = self.request(url.clone(), body.clone());
                self.http.send(request, time_left)
            };
            self.retry.run(attempt).await?;
        }
        Ok(())
    }

    fn url(&self, channel: &str) -> Url {
        let prefix = self.endpoint.path().trim_end_matches('/');
        let channel = utf8_percent_encode(channel, NON_ALPHANUMERIC);
        let mut url = self.endpoint.clone();
        url.set_path(&format!("{prefix}/channels/{channel}/messages"));
        url
    }

    fn request(&self, url: Url, body: Bytes) -> Request {
        let mut request = Request::new(Method::POST, url);
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, self.authorization.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *request.body_mut() = Some(body.into());
        request
    }
}

/// Source: laravel/framework, `AblyBroadcaster::formatChannels`.
fn channel_name(name: &str) -> String {
    if let Some(rest) = name.strip_prefix(PRIVATE) {
        format!("private:{rest}")
    } else if let Some(rest) = name.strip_prefix(PRESENCE) {
        format!("presence:{rest}")
    } else {
        format!("public:{name}")
    }
}

impl Broadcaster for AblyBroadcaster {
    fn name(&self) -> &'static str {
        "ably"
    }

    fn broadcast<'a>(&'a self, broadcast: &'a Broadcast) -> BroadcastFuture<'a> {
        Box::pin(self.publish(broadcast))
    }
}

impl fmt::Debug for AblyBroadcaster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AblyBroadcaster")
            .field("endpoint", &self.endpoint.as_str())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_named_as_laravel_names_them() {
        for (channel, name) in [
            ("news", "public:news"),
            ("private-user.1", "private:user.1"),
            ("presence-room", "presence:room"),
            ("private-encrypted-x", "private:encrypted-x"),
        ] {
            assert_eq!(channel_name(channel), name);
        }
    }

    #[test]
    fn keys_do_not_print() {
        let config = AblyConfig::new("app.name:hidden");
        assert!(!format!("{config:?}").contains("hidden"));
        let broadcaster = AblyBroadcaster::new(config).unwrap();
        assert!(!format!("{broadcaster:?}").contains("hidden"));
        assert_eq!(
            AblyBroadcaster::new(AblyConfig::new("x"))
                .unwrap_err()
                .field,
            "key"
        );
    }
}
