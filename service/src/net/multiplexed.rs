//! Connections that carry several requests at a time: HTTP/2.

mod allowance;
mod frames;

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_codec::{AsyncRead, AsyncWrite, ReadBuf};
use prometheus_client::metrics::counter::Counter;
use tokio::time::{Instant, Sleep, sleep_until};

pub use self::allowance::Allowance;
use self::frames::Frames;
use super::blocked::Blocked;
use super::reading::poll_read_at_most;
use super::yielding::wake_after_others;

/// Bytes that are read before others have their turn.
const A_TURN: usize = 16 << 10;
/// Frames that belong to no request and are read before others have their turn: they cost far more than their bytes.
const FRAMES_OF_A_TURN: u32 = 64;
/// Bytes that are read at once, to notice such frames.
const A_READ: usize = 4 << 10;
/// Bytes that a peer may still send when the stream was shut down.
const MOST_LEFT: usize = 64 << 10;

/// A stream whose peer cannot take more than its turn, nor leave for ever what is written. Nothing more is read once
/// the peer has sent more frames that carry nothing than it may: whoever serves it is to look at the
/// [`Allowance`].
#[derive(Debug)]
pub struct Multiplexed<T> {
    stream: T,
    /// How long the peer may take nothing of what waits.
    patience: Duration,
    /// How long it may take to end the stream when it was shut down.
    close: Duration,
    /// Whether it was, and how many bytes have come since.
    shut: Option<usize>,
    /// Bytes that were read in this turn.
    read: usize,
    /// Frames that belong to no request, in this turn.
    of_no_request: u32,
    frames: Frames,
    allowance: Allowance,
    blocked: Option<Blocked>,
    timer: Option<Pin<Box<Sleep>>>,
    write_timeouts: Counter,
}

impl<T> Multiplexed<T> {
    /// A peer may take nothing for as long as `patience`, `write_timeouts` counts those that do, and may take as long as
    /// `close` to end a stream that was shut down.
    pub fn new(stream: T, patience: Duration, close: Duration, write_timeouts: Counter) -> Self {
        Self {
            stream,
            patience,
            close,
            shut: None,
            read: 0,
            of_no_request: 0,
            frames: Frames::new(),
            allowance: Allowance::new(Instant::now()),
            blocked: None,
            timer: None,
            write_timeouts,
        }
    }

    /// How many frames the peer may send that carry nothing.
    pub fn allowance(&self) -> Allowance {
        self.allowance.clone()
    }

    fn begin_turn(&mut self) {
        self.read = 0;
        self.of_no_request = 0;
    }

    /// Takes note of what was read.
    fn pass(&mut self, read: &[u8]) {
        self.read += read.len();
        let count = self.frames.pass(read);
        if count > 0 {
            self.of_no_request += count;
            self.allowance.take(count, Instant::now());
        }
    }

    fn wrote(
        &mut self,
        outcome: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let now = Instant::now();
        match outcome {
            Poll::Ready(Ok(taken)) => {
                if let Some(blocked) = &mut self.blocked {
                    blocked.took(taken, now);
                }
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                let blocked = self.blocked.get_or_insert_with(|| Blocked::new(now));
                let due = blocked.due(self.patience);
                let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
                if timer.deadline() != due {
                    timer.as_mut().reset(due);
                }
                if timer.as_mut().poll(cx).is_ready() {
                    self.write_timeouts.inc();
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
            }
        }
        outcome
    }
}

impl<T: AsyncRead + Unpin> Multiplexed<T> {
    /// Drops what comes until the peer has ended the stream, too: with anything unread when it is closed, the system
    /// would drop what the peer has not read.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut buffer = [0; 1024];
        while let Some(come) = &mut self.shut {
            let mut buffer = ReadBuf::new(&mut buffer);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    *come += buffer.filled().len();
                    if *come > MOST_LEFT {
                        break;
                    }
                }
                Poll::Ready(_) => break,
                Poll::Pending => match &mut self.timer {
                    Some(timer) => return timer.as_mut().poll(cx),
                    None => break,
                },
            }
        }
        Poll::Ready(())
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Multiplexed<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.allowance.is_spent() {
            return Poll::Pending;
        }
        if this.read >= A_TURN || this.of_no_request >= FRAMES_OF_A_TURN {
            this.begin_turn();
            wake_after_others(cx);
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let outcome = poll_read_at_most(&mut this.stream, A_READ, cx, buf);
        match &outcome {
            Poll::Ready(_) => this.pass(&buf.filled()[before..]),
            Poll::Pending => this.begin_turn(),
        }
        outcome
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Multiplexed<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.wrote(outcome, cx)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_flush(cx);
        match outcome {
            Poll::Ready(Ok(())) => {
                this.blocked = None;
                this.timer = None;
                outcome
            }
            Poll::Ready(Err(_)) => outcome,
            Poll::Pending => this.wrote(Poll::Pending, cx).map_ok(|_| ()),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.shut.is_none() {
            match Pin::new(&mut this.stream).poll_shutdown(cx) {
                Poll::Pending => return this.wrote(Poll::Pending, cx).map_ok(|_| ()),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) => {
                    this.shut = Some(0);
                    this.timer = Some(Box::pin(sleep_until(Instant::now() + this.close)));
                }
            }
        }
        this.poll_end(cx).map(Ok)
    }
}

#[cfg(test)]
mod tests;
