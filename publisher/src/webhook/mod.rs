//! Webhooks: what a relay reports to a backend.
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

    /// Verifies a request: its headers, asked for by name (in any case), and its body as it came,
    /// byte for byte.
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
        let mut of_key = self
            .pairs
            .iter()
            .filter(|pair| pair.key() == key)
            .peekable();
        if of_key.peek().is_none() {
            return Err(WebhookError::UnknownKey);
        }
        if !of_key.any(|pair| pair.verify(body, signature)) {
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

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str =
        r#"{"time_ms":1327078148132,"events":[{"name":"channel_occupied","channel":"a"}]}"#;

    fn verifier() -> WebhookVerifier {
        let pair = KeyPair::new;
        // A key is rotated, and so is the secret of one that stays.
        WebhookVerifier::new([pair("new", "s1"), pair("old", "s2"), pair("old", "s3")])
    }

    fn verify(key: &str, signature: &str, body: &str) -> Result<Webhook, WebhookError> {
        let headers = [(KEY, key), (SIGNATURE, signature), (EVENT_IDS, "x-1, x-2")];
        verifier().verify(
            |name| {
                let mut headers = headers.iter();
                let header = headers.find(|(known, value)| *known == name && !value.is_empty());
                header.map(|(_, value)| *value)
            },
            body.as_bytes(),
        )
    }

    fn signed(secret: &str, body: &str) -> String {
        KeyPair::new("", secret).sign(&[body.as_bytes()])
    }

    #[test]
    fn any_pair_of_the_app_may_have_signed() {
        for (key, secret) in [("new", "s1"), ("old", "s2"), ("old", "s3")] {
            let webhook = verify(key, &signed(secret, BODY), BODY).unwrap();
            assert_eq!(webhook.time_ms, 1_327_078_148_132);
            assert_eq!(webhook.event_ids, ["x-1", "x-2"]);
            let channel = "a".to_owned();
            assert_eq!(webhook.events, [WebhookEvent::ChannelOccupied { channel }]);
        }
    }

    #[test]
    fn what_another_has_signed_is_refused() {
        let good = signed("s1", BODY);
        for (key, signature, error) in [
            ("", &*good, WebhookError::Missing(KEY)),
            ("new", "", WebhookError::Missing(SIGNATURE)),
            ("other", &good, WebhookError::UnknownKey),
            ("old", &good, WebhookError::BadSignature),
            ("new", &good.to_uppercase(), WebhookError::BadSignature),
        ] {
            assert_eq!(verify(key, signature, BODY), Err(error));
        }
        let changed = BODY.replace('a', "b");
        assert_eq!(
            verify("new", &good, &changed),
            Err(WebhookError::BadSignature)
        );
    }

    #[test]
    fn what_is_signed_must_be_a_webhook() {
        for body in [
            "",
            "[]",
            r#"{"time_ms":1}"#,
            r#"{"time_ms":1,"events":[1]}"#,
        ] {
            let result = verify("new", &signed("s1", body), body);
            assert!(matches!(result, Err(WebhookError::Malformed(_))), "{body}");
        }
    }
}
