//! How much is read of one connection before others have their turn.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_codec::{AsyncRead, ReadBuf};

use super::pipeline;
use crate::net::request_mark::Handling;

/// Bytes of heads that are read in a turn: the dispatcher takes apart all that it gets, and a
/// request of twenty bytes costs it more than a thousand.
const HEADS: usize = 8 << 10;

/// The same for a peer whose last turn was used up by requests.
const HEADS_OF_MANY: usize = 2 << 10;

/// Bytes of a body that are read in a turn.
const BODY: usize = 32 << 10;

/// What was read of a connection in this turn.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Turn {
    bytes: usize,
    /// Bytes that may be read beyond the turn's own.
    more: usize,
    /// The last turn was used up by requests.
    was_used_up: bool,
}

impl Turn {
    /// Bytes that may still be read.
    pub(super) fn left(&self, handling: Handling) -> usize {
        match handling {
            Handling::WaitsForBody(missing) => BODY.saturating_sub(self.bytes).min(missing),
            _ if self.was_used_up => (HEADS_OF_MANY + self.more).saturating_sub(self.bytes),
            _ => (HEADS + self.more).saturating_sub(self.bytes),
        }
    }

    /// Bytes were read.
    pub(super) fn read(&mut self, bytes: &[u8], handling: Handling) {
        self.bytes += bytes.len();
        let is_body = matches!(handling, Handling::WaitsForBody(_));
        if !is_body && self.more == 0 && self.left(handling) == 0 {
            let missing = pipeline::missing(bytes);
            if missing <= HEADS {
                self.more = missing;
            }
        }
    }

    /// The next turn begins.
    pub(super) fn end(&mut self, handling: Handling) {
        if self.bytes > 0 {
            let is_body = matches!(handling, Handling::WaitsForBody(_));
            self.was_used_up = !is_body && self.left(handling) == 0;
            self.bytes = 0;
            self.more = 0;
        }
    }
}

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
