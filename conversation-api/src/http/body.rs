//! Reading bodies, not longer than they may be and not for ever.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt as _;
use tokio::time::timeout;

use super::error::Refusal;

/// How long a body may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Reads a body of at most `largest` bytes. One that announces more is refused unread.
pub(super) async fn read(
    request: &HttpRequest,
    payload: Payload,
    largest: usize,
) -> Result<Bytes, Refusal> {
    let length = request.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: usize| length > largest) {
        return Err(Refusal::TooLarge);
    }
    timeout(PATIENCE, collect(payload, largest))
        .await
        .map_err(|_| Refusal::TooSlow)?
}

async fn collect(mut payload: Payload, largest: usize) -> Result<Bytes, Refusal> {
    let mut body = BytesMut::new();
    while let Some(piece) = payload.next().await {
        let piece = piece.map_err(|_| Refusal::Malformed)?;
        if body.len() + piece.len() > largest {
            return Err(Refusal::TooLarge);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}
