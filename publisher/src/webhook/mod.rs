//! Webhooks: what a relay tells a backend.
//!
//! Source: Pusher Channels, "Webhooks".

mod event;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;

pub use event::WebhookEvent;

use crate::KeyPair;

const KEY: &str = "X-Pusher-Key";
const SIGNATURE: &str = "X-Pusher-Signature";
/// Fanfare's extension.
const EVENT_IDS: &str = "X-Fanfare-Event-Id";

/// Verifies webhooks against an app's key pairs: several, while keys are rotated.
#[derive(Clone, Debug)]
pub struct WebhookVerifier {
    pairs: Vec<KeyPair>,
}

/// A webhook that an app's relay has sent.
///
/// Whoever has seen one can send it again, and a relay does so itself when it was not answered
/// with a 2xx in time. Be prepared for repetitions: look at [`event_ids`](Self::event_ids).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Webhook {
    /// When it was sent, in milliseconds since 1970.
    pub time_ms: u64,
    /// What happened, in order.
    pub events: Vec<WebhookEvent>,
    /// Fanfare only: for each event an id, which stays the same when the event is sent again.
    /// Empty if there are none. They are not covered by the signature: by themselves they prove
    /// nothing.
    pub event_ids: Vec<String>,
}

/// Why a request is not a webhook of this app's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookError {
    /// A header that every webhook has.
    #[error("the header {0} is missing")]
    Missing(&'static str),
    /// The key is none of this app's.
    #[error("the key in {KEY} is not a key of this app")]
    UnknownKey,
    /// The signature is not that of the body.
    #[error("the signature in {SIGNATURE} does not match the body")]
    BadSignature,
    /// It is rightly signed, but not what a webhook looks like.
    #[error("the body is not that of a webhook: {0}")]
    Malformed(String),
}

#[derive(Deserialize)]
struct Body {
    time_ms: u64,
    events: Vec<WebhookEvent>,
}

impl WebhookVerifier {
    /// Accepts webhooks signed with any of these pairs.
    pub fn new(pairs: impl IntoIterator<Item = KeyPair>) -> Self {
        let pairs = pairs.into_iter().collect();
        Self { pairs }
    }

    /// Verifies a request: its headers, asked for by name, and its body as it came, byte for byte.
    ///
    /// ```
    /// # use std::collections::HashMap;
    /// use publisher::{KeyPair, WebhookError, WebhookVerifier};
    ///
    /// let verifier = WebhookVerifier::new([KeyPair::new("app-key", "app-secret")]);
    /// # let headers = HashMap::from([("X-Pusher-Key", "app-key")]);
    /// # let body = b"";
    /// // As with most frameworks: |name| headers.get(name)?.to_str().ok()
    /// let webhook = verifier.verify(|name| headers.get(name).copied(), body);
    /// assert_eq!(webhook, Err(WebhookError::Missing("X-Pusher-Signature")));
    /// ```
    pub fn verify<'h>(
        &self,
        header: impl Fn(&str) -> Option<&'h str>,
        body: &[u8],
    ) -> Result<Webhook, WebhookError> {
        let needed = |name| header(name).ok_or(WebhookError::Missing(name));
        let key = needed(KEY)?;
        let signature = needed(SIGNATURE)?;
        let pair = self
            .pairs
            .iter()
            .find(|pair| pair.key() == key)
            .ok_or(WebhookError::UnknownKey)?;
        if !pair.verify(body, signature) {
            return Err(WebhookError::BadSignature);
        }
        let Body { time_ms, events } = serde_json::from_slice(body)
            .map_err(|error| WebhookError::Malformed(error.to_string()))?;
        let ids = header(EVENT_IDS).unwrap_or_default().split(',');
        let ids = ids.map(str::trim).filter(|id| !id.is_empty());
        Ok(Webhook {
            time_ms,
            events,
            event_ids: ids.map(str::to_owned).collect(),
        })
    }
}

impl Webhook {
    /// When it was sent.
    pub fn time(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.time_ms)
    }
}
