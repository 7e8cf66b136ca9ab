//! A body, while which is waited for the connection reads on.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;

use super::request_mark::RequestMark;

/// The body of a request that is handled. What waits for more of it is marked, so that the
/// connection reads that, and nothing behind it.
#[derive(Debug)]
pub struct MarkedBody<S> {
    body: S,
    mark: Option<RequestMark>,
    /// Bytes that have not arrived, if it is known how many there are.
    missing: Option<usize>,
    is_waited_for: bool,
}

impl<S> MarkedBody<S> {
    /// A body of so many bytes, if that is known. Without a mark nothing is marked.
    pub fn new(body: S, length: Option<usize>, mark: Option<RequestMark>) -> Self {
        Self {
            body,
            mark,
            missing: length,
            is_waited_for: false,
        }
    }
}

impl<S, E> Stream for MarkedBody<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let next = Pin::new(&mut this.body).poll_next(cx);
        if let (Poll::Ready(Some(Ok(chunk))), Some(missing)) = (&next, &mut this.missing) {
            *missing = missing.saturating_sub(chunk.len());
        }
        let waits = next.is_pending();
        if let Some(mark) = &this.mark {
            if waits {
                mark.wait_for_body(this.missing, cx);
            } else if this.is_waited_for {
                mark.has_body();
            }
        }
        this.is_waited_for = waits;
        next
    }
}
