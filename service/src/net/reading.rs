//! Reads that take no more than they may.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_codec::{AsyncRead, ReadBuf};

/// Reads at most so many bytes, however much space there is.
pub(super) fn poll_read_at_most<T: AsyncRead + Unpin>(
    stream: &mut T,
    most: usize,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    if buf.remaining() <= most {
        return Pin::new(stream).poll_read(cx, buf);
    }
    let mut part = ReadBuf::new(buf.initialize_unfilled_to(most));
    ready!(Pin::new(stream).poll_read(cx, &mut part))?;
    let count = part.filled().len();
    buf.advance(count);
    Poll::Ready(Ok(()))
}
