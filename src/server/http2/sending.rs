//! The body of an answer.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use h2::{Reason, SendStream};
use service::net::blocked::Blocked;
use tokio::time::{Instant, timeout_at};

use super::progress::{Ended, Progress};
use crate::metrics::Counter;

/// Bytes that are handed over at once.
const CHUNK: usize = 16 << 10;
/// A part of so many bytes may be answered with frames about the windows of the stream and the connection. A client that lets
/// itself be sent less at a time is not to gain by it.
const WORTH_FRAMES: usize = 256;
const FRAMES_OF_PART: u32 = 2;

/// How an answer is to be taken.
#[derive(Clone, Copy)]
pub(super) struct Taken<'t> {
    pub(super) progress: &'t Rc<Progress>,
    /// How long the client may take nothing.
    pub(super) patience: Duration,
    /// Counts those that take longer.
    pub(super) timeouts: &'t Counter,
}

/// Sends a body to its end.
pub(super) async fn send<B: MessageBody>(
    body: B,
    size: BodySize,
    stream: &mut SendStream<Bytes>,
    taken: Taken<'_>,
) -> Result<(), Ended> {
    let mut body = pin!(body);
    let mut left = match size {
        BodySize::Sized(length) => Some(length),
        BodySize::None | BodySize::Stream => None,
    };
    loop {
        let next = poll_fn(|cx| {
            if stream.poll_reset(cx).is_ready() {
                return Poll::Ready(Err(Ended::Left));
            }
            body.as_mut().poll_next(cx).map(Ok)
        });
        let chunk = match next.await? {
            Some(Ok(chunk)) => chunk,
            Some(Err(_)) => {
                stream.send_reset(Reason::INTERNAL_ERROR);
                return Err(Ended::Failed);
            }
            None => {
                let sent = stream.send_data(Bytes::new(), true);
                return sent.map_err(|_| Ended::Left);
            }
        };
        if let Some(left) = &mut left {
            *left = left.saturating_sub(chunk.len() as u64);
        }
        send_chunk(chunk, left == Some(0), stream, taken).await?;
        if left == Some(0) {
            return Ok(());
        }
    }
}

/// Sends a part of a body, as fast as the client takes it.
async fn send_chunk(
    mut chunk: Bytes,
    ends: bool,
    stream: &mut SendStream<Bytes>,
    taken: Taken<'_>,
) -> Result<(), Ended> {
    let is_blocked = &taken.progress.is_blocked;
    let mut blocked = Blocked::new(Instant::now());
    while !chunk.is_empty() {
        stream.reserve_capacity(chunk.len().min(CHUNK));
        let capacity = poll_fn(|cx| {
            let capacity = stream.poll_capacity(cx);
            is_blocked.set(capacity.is_pending());
            capacity
        });
        let capacity = match timeout_at(blocked.due(taken.patience), capacity).await {
            Ok(Some(Ok(capacity))) => capacity,
            Ok(Some(Err(_)) | None) => return Err(Ended::Left),
            Err(_) => {
                taken.timeouts.inc();
                stream.send_reset(Reason::CANCEL);
                return Err(Ended::Failed);
            }
        };
        let part = chunk.split_to(capacity.min(chunk.len()));
        blocked.took(part.len(), Instant::now());
        if part.len() >= WORTH_FRAMES || chunk.is_empty() {
            taken.progress.allowance.earn(FRAMES_OF_PART);
        }
        let sent = stream.send_data(part, ends && chunk.is_empty());
        sent.map_err(|_| Ended::Left)?;
    }
    Ok(())
}
