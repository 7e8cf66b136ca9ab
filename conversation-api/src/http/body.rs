//! Reading bodies, not longer than they may be and not for ever.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt as _;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::error::Refusal;

/// How long a body may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// How much may be on its way, in KiB: what Meta sends, and what everybody else does, so that
/// neither keeps the other out.
const BUDGET: usize = 32 << 10;

/// Room for the bodies that have not arrived whole, in KiB.
#[derive(Debug)]
pub struct Bodies {
    pub(super) webhooks: Semaphore,
    pub(super) fields: Semaphore,
}

impl Default for Bodies {
    fn default() -> Self {
        Self {
            webhooks: Semaphore::new(BUDGET),
            fields: Semaphore::new(BUDGET),
        }
    }
}

/// Reads a body of at most `largest` bytes, if there is room. One that announces more is refused
/// unread.
pub(super) async fn read(
    request: &HttpRequest,
    payload: Payload,
    largest: usize,
    room: &Semaphore,
) -> Result<Bytes, Refusal> {
    let length = request.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: usize| length > largest) {
        return Err(Refusal::TooLarge);
    }
    timeout(PATIENCE, collect(payload, largest, room))
        .await
        .map_err(|_| Refusal::TooSlow)?
}

/// Room is taken for what has arrived, not for what is announced: that costs nothing.
async fn collect(mut payload: Payload, largest: usize, room: &Semaphore) -> Result<Bytes, Refusal> {
    let mut body = BytesMut::new();
    let mut held = room.try_acquire_many(0).map_err(|_| Refusal::Busy)?;
    while let Some(piece) = payload.next().await {
        let piece = piece.map_err(|_| Refusal::Malformed)?;
        if body.len() + piece.len() > largest {
            return Err(Refusal::TooLarge);
        }
        let kibibytes = (body.len() + piece.len()).div_ceil(1024);
        let more = kibibytes.saturating_sub(held.num_permits());
        let more = u32::try_from(more).map_err(|_| Refusal::TooLarge)?;
        held.merge(room.try_acquire_many(more).map_err(|_| Refusal::Busy)?);
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}
