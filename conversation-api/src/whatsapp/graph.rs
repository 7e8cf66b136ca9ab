//! Sending messages through the Graph API.

use std::fmt;
use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};

use super::answer::{self, GraphError};
use super::values::is_plausible_id;
use super::{Reply, Template};
use crate::message::Failure;

/// Meta's own address, with the version of the API that this is written for.
pub const DEFAULT_URL: &str = "https://graph.facebook.com/v23.0";

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

/// A client of the Graph API.
#[derive(Clone, Debug)]
pub struct Graph {
    pub(super) client: Client,
    pub(super) sender: Sender,
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
    ///
    /// An answer without an id is no success: whatever gave it, it is not known to be WhatsApp, and
    /// nothing more would be known of the message. It is not sent again, as it may have arrived.
    pub async fn send(&self, reply: &Reply) -> Result<String, GraphError> {
        let Sender {
            url,
            token,
            phone_number_id,
        } = &self.sender;
        let answer = self
            .client
            .post(format!("{url}/{phone_number_id}/messages"))
            .bearer_auth(token)
            .json(&message(reply))
            .send()
            .await
            .map_err(GraphError::no_answer)?;
        let status = answer.status();
        let answer = answer::read(answer).await?;
        match answer["messages"][0]["id"].as_str() {
            Some(id) if is_plausible_id(id) => Ok(id.into()),
            _ => {
                let error = format!("the Graph API answered {status} without a message's id");
                let failure = Failure::not_known(&error);
                Err(GraphError::Never { error, failure })
            }
        }
    }
}

fn message(reply: &Reply) -> Value {
    let mut message = json!({
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": reply.to,
    });
    match &reply.template {
        None => {
            message["type"] = "text".into();
            message["text"] = json!({"preview_url": false, "body": reply.text});
        }
        Some(template) => {
            message["type"] = "template".into();
            message["template"] = filled_in(template);
        }
    }
    message
}

fn filled_in(template: &Template) -> Value {
    let text = |text: &String| json!({"type": "text", "text": text});
    let parameters: Vec<Value> = template.parameters.iter().map(text).collect();
    let components = match parameters.as_slice() {
        [] => json!([]),
        parameters => json!([{"type": "body", "parameters": parameters}]),
    };
    json!({
        "name": template.name,
        "language": {"code": template.language},
        "components": components,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
