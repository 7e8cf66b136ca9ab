//! The body of a request: JSON, bounded in size and in time.

use std::time::Duration;

use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use actix_web::web;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use tokio::time::timeout;

use super::refusal::Refusal;

/// How long a body may take to arrive.
const ARRIVES_WITHIN: Duration = Duration::from_secs(10);

/// Reads a body of at most so many bytes.
pub(super) async fn read(
    headers: &HeaderMap,
    payload: web::Payload,
    most: usize,
) -> Result<Bytes, Refusal> {
    let declared = headers.get(CONTENT_LENGTH);
    let declared = declared.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|declared| declared > most as u64) {
        return Err(Refusal::TooLarge(most));
    }
    // No form and no page's simple request has it: a browser asks first, and is refused then.
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind
        .and_then(|kind| kind.split(';').next())
        .unwrap_or_default();
    if !kind.trim().eq_ignore_ascii_case("application/json") {
        return Err(Refusal::NotJson);
    }
    timeout(ARRIVES_WITHIN, whole(payload, most))
        .await
        .map_err(|_| Refusal::TooSlow(ARRIVES_WITHIN))?
}

async fn whole(mut payload: web::Payload, most: usize) -> Result<Bytes, Refusal> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk
            .map_err(|error| Refusal::Invalid(format!("the body did not arrive whole: {error}")))?;
        if body.len() + chunk.len() > most {
            return Err(Refusal::TooLarge(most));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
