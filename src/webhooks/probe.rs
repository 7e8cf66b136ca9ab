//! Whether a webhook takes what it would be sent.

use std::time::{Duration, Instant};

use reqwest::Client;

use super::client::client;
use super::error::StartError;
use super::event::Numbers;
use super::notice::Notice;
use super::post::{Outcome, Poster};
use super::settings::Settings;
use crate::apps::Webhook;
use crate::auth::Signer;
use crate::protocol::ChannelName;

/// Posts a signed request without any event, as webhooks are posted otherwise, and waits for its answer for so long at most.
/// The error is for people, and holds nothing of the URL.
pub async fn probe(
    settings: &Settings,
    webhook: &Webhook,
    signer: Signer,
    most: Duration,
) -> Result<(), String> {
    let client = client(settings).map_err(|error| error.to_string())?;
    let poster = Poster::new(client, webhook, signer, settings.timeout.min(most));
    match poster.post(&[]).await {
        Outcome::Delivered => Ok(()),
        other => Err(other.to_string()),
    }
}

/// What became of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tested {
    /// What the endpoint answered, if it did.
    pub status: Option<u16>,
    /// How long that took, or until it was given up.
    pub took: Duration,
    /// Why it was not taken, for people; it holds nothing of the URL.
    pub error: Option<String>,
}

/// Sends tests: signed requests with an event `test`, posted as webhooks are posted otherwise, once.
#[derive(Debug)]
pub struct Tester {
    client: Client,
    timeout: Duration,
}

impl Tester {
    /// Waits for an answer as long as webhooks do, and for so long at most.
    ///
    /// # Errors
    /// When there is no HTTP client to be had.
    pub fn new(settings: &Settings, most: Duration) -> Result<Self, StartError> {
        Ok(Self {
            client: client(settings)?,
            timeout: settings.timeout.min(most),
        })
    }

    /// Sends one to a webhook. It waits behind nothing, and is not sent again.
    pub async fn send(&self, webhook: &Webhook, signer: Signer) -> Tested {
        let poster = Poster::new(self.client.clone(), webhook, signer, self.timeout);
        // Its number is of no process: nobody orders it among others.
        let channel = ChannelName::parse("test", usize::MAX).ok();
        let event = channel.map(|channel| Numbers::new().event(&channel, Notice::of_test()));
        let started = Instant::now();
        let answer = poster.answer(event.as_slice()).await;
        let (status, error) = match answer {
            Ok(status) if status.is_success() => (Some(status.as_u16()), None),
            Ok(status) => (
                Some(status.as_u16()),
                Some(Outcome::Refused(status).to_string()),
            ),
            Err(outcome) => (None, Some(outcome.to_string())),
        };
        Tested {
            status,
            took: started.elapsed(),
            error,
        }
    }
}
