//! From a connection to the answer that carries it, which may be on another thread: room for one chunk.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use parking_lot::Mutex;

/// The connection's end.
#[derive(Debug)]
pub(super) struct Writer(Arc<Mutex<State>>);

/// The answer's end.
#[derive(Debug)]
pub(super) struct Reader(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    chunk: Option<Bytes>,
    /// Nothing follows.
    ended: bool,
    /// The answer is over, or its client is gone.
    gone: bool,
    writer: Option<Waker>,
    /// The writer waits for room.
    is_awaited: bool,
    reader: Option<Waker>,
}

/// The answer is over, or its client is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gone {
    /// Whether a chunk was never taken.
    pub(super) untaken: bool,
}

pub(super) fn pipe() -> (Writer, Reader) {
    let state = Arc::default();
    (Writer(Arc::clone(&state)), Reader(state))
}

impl Writer {
    /// Ready when there is room for a chunk.
    pub(super) fn poll_ready(&self, cx: &Context<'_>) -> Poll<Result<(), Gone>> {
        let mut state = self.0.lock();
        if state.gone {
            let untaken = state.chunk.is_some();
            return Poll::Ready(Err(Gone { untaken }));
        }
        // Registered in either case: that the reader goes is noticed without anything to write.
        if !state
            .writer
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            state.writer = Some(cx.waker().clone());
        }
        state.is_awaited = state.chunk.is_some();
        if state.is_awaited {
            Poll::Pending
        } else {
            Poll::Ready(Ok(()))
        }
    }

    /// Puts a chunk where there is room for it.
    pub(super) fn put(&self, chunk: Bytes) {
        let mut state = self.0.lock();
        state.chunk = Some(chunk);
        let reader = state.reader.take();
        drop(state);
        wake(reader);
    }

    /// Nothing follows; what was put is still read.
    pub(super) fn end(&self) {
        let mut state = self.0.lock();
        state.ended = true;
        let reader = state.reader.take();
        drop(state);
        wake(reader);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.end();
    }
}

impl Reader {
    /// The next chunk; None at the end.
    pub(super) fn poll_next(&self, cx: &Context<'_>) -> Poll<Option<Bytes>> {
        let mut state = self.0.lock();
        match state.chunk.take() {
            Some(chunk) => {
                let awaited = std::mem::take(&mut state.is_awaited);
                let writer = awaited.then(|| state.writer.clone()).flatten();
                drop(state);
                wake(writer);
                Poll::Ready(Some(chunk))
            }
            None if state.ended => Poll::Ready(None),
            None => {
                state.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.gone = true;
        let writer = state.writer.take();
        drop(state);
        wake(writer);
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_taken_before_the_next_is_put() {
        let cx = Context::from_waker(Waker::noop());
        let (writer, reader) = pipe();
        assert!(reader.poll_next(&cx).is_pending());
        assert_eq!(writer.poll_ready(&cx), Poll::Ready(Ok(())));
        writer.put(Bytes::from_static(b"one"));
        assert!(writer.poll_ready(&cx).is_pending());
        writer.end();
        let chunk = Some(Bytes::from_static(b"one"));
        assert_eq!(reader.poll_next(&cx), Poll::Ready(chunk));
        assert_eq!(reader.poll_next(&cx), Poll::Ready(None));
        drop(reader);
        let gone = Gone { untaken: false };
        assert_eq!(writer.poll_ready(&cx), Poll::Ready(Err(gone)));
    }

    #[test]
    fn a_chunk_that_nobody_took_is_known() {
        let cx = Context::from_waker(Waker::noop());
        let (writer, reader) = pipe();
        writer.put(Bytes::from_static(b"one"));
        drop(reader);
        let gone = Gone { untaken: true };
        assert_eq!(writer.poll_ready(&cx), Poll::Ready(Err(gone)));
    }
}
