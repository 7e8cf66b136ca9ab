//! Whether a webhook takes what it would be sent.

use std::time::Duration;

use super::client::client;
use super::post::{Outcome, Poster};
use super::settings::Settings;
use crate::apps::Webhook;
use crate::auth::Signer;

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
