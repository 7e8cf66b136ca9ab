//! An event is published.

use serde_json::{Value, json};

use super::super::refusal::Refusal;
use super::super::routes::Found;
use super::apps::named;
use crate::http::publish_unsigned;
use crate::relay::Relay;

/// Bytes of the body that the app takes over the HTTP API.
pub(in crate::admin) fn most_bytes(relay: &Relay, found: &Found<'_>) -> Result<usize, Refusal> {
    Ok(named(relay, found)?.app.record().limits.http_body_bytes)
}

pub(in crate::admin) async fn publish(
    relay: &Relay,
    found: &Found<'_>,
    body: &[u8],
) -> Result<Value, Refusal> {
    let app = named(relay, found)?;
    let published = publish_unsigned(relay, &app, body).await;
    published.map_err(Refusal::Rejected)?;
    Ok(json!({ "published": true }))
}
