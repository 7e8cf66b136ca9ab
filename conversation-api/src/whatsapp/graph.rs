//! Sending messages through the Graph API.

use std::fmt;
use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use super::Reply;

/// Meta's own address, with the version of the API that this is written for.
pub const DEFAULT_URL: &str = "https://graph.facebook.com/v23.0";

/// Characters of a refusal that are kept.
const LONGEST_REFUSAL: usize = 500;

/// Where messages are sent from, and with what right.
#[derive(Clone)]
pub struct Sender {
    /// The API's address, without a slash at its end.
    pub url: String,
    /// The access token. Never printed.
    pub token: String,
    /// Meta's id of the desk's own number.
    pub phone_number_id: String,
}

impl fmt::Debug for Sender {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Sender")
            .field("url", &self.url)
            .field("phone_number_id", &self.phone_number_id)
            .finish_non_exhaustive()
    }
}

/// Why a message was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// It may be sent later: there was no answer, or one that allows it.
    #[error("{0}")]
    Later(String),
    /// It will never be taken.
    #[error("{0}")]
    Never(String),
}

/// A client of the Graph API.
#[derive(Clone, Debug)]
pub struct Graph {
    client: Client,
    sender: Sender,
}

impl Graph {
    /// A client that gives up on a request after `timeout`.
    pub fn new(sender: Sender, timeout: Duration) -> Result<Self, reqwest::Error> {
        // Another part of the process may have chosen a provider before: that one is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .timeout(timeout)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { client, sender })
    }

    /// Sends a reply; returns WhatsApp's id of it.
    pub async fn send(&self, reply: &Reply) -> Result<String, SendError> {
        let Sender {
            url,
            token,
            phone_number_id,
        } = &self.sender;
        let message = json!({
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": reply.to,
            "type": "text",
            "text": {"preview_url": false, "body": reply.text},
        });
        let answer = self
            .client
            .post(format!("{url}/{phone_number_id}/messages"))
            .bearer_auth(token)
            .json(&message)
            .send()
            .await
            .map_err(|error| SendError::Later(error.without_url().to_string()))?;
        let status = answer.status();
        let body = answer.bytes().await.unwrap_or_default();
        if !status.is_success() {
            return Err(refusal(status, &body));
        }
        // It was sent. Without its id, only its delivery status will not be known.
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        Ok(body["messages"][0]["id"]
            .as_str()
            .unwrap_or_default()
            .into())
    }
}

fn refusal(status: StatusCode, body: &[u8]) -> SendError {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let reason = body["error"]["message"]
        .as_str()
        .unwrap_or("no reason given");
    let reason: String = reason.chars().take(LONGEST_REFUSAL).collect();
    let text = format!("the Graph API answered {status}: {reason}");
    let heals = [
        StatusCode::UNAUTHORIZED,
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    if status.is_client_error() && !heals.contains(&status) {
        SendError::Never(text)
    } else {
        SendError::Later(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_heal_is_distinguished_from_what_can() {
        let body = br#"{"error": {"message": "Recipient not in allowed list", "code": 131030}}"#;
        let never = refusal(StatusCode::BAD_REQUEST, body);
        assert_eq!(
            never.to_string(),
            "the Graph API answered 400 Bad Request: Recipient not in allowed list"
        );
        assert!(matches!(never, SendError::Never(_)));
        for status in [401, 408, 429, 500, 503, 302] {
            let status = StatusCode::from_u16(status).unwrap();
            assert!(
                matches!(refusal(status, b"?"), SendError::Later(_)),
                "{status}"
            );
        }
    }

    #[test]
    fn the_token_does_not_print() {
        let sender = Sender {
            url: DEFAULT_URL.into(),
            token: "hidden".into(),
            phone_number_id: "1".into(),
        };
        assert!(!format!("{sender:?}").contains("hidden"));
    }
}
