//! HTTP connections that do not wait for ever, and do not hoard.

mod pipeline;
mod turn;

use std::fmt;
use std::future::Future as _;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_codec::{AsyncRead, AsyncWrite, ReadBuf};
use prometheus_client::metrics::counter::Counter;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use self::turn::Turn;
use super::blocked::Blocked;
use super::entry::{Entry, Waiting};
use super::reading::poll_read_at_most;
use super::request_mark::{Handling, RequestMark};
use super::upgrade;
use super::yielding::wake_after_others;

/// A timer that goes off so much too late shows that the process stood still.
const STANDSTILL: Duration = Duration::from_secs(1);

/// How long an HTTP connection may wait.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// For the end of a request's head, from its first byte.
    pub head: Duration,
    /// For an answer, from the first byte of a request to the first byte of the answer.
    pub request: Duration,
    /// For the next request.
    pub idle: Duration,
    /// For the peer to take anything of what waits to be written.
    pub write: Duration,
}

/// A stream on which every request must arrive and be answered in time, however slowly it
/// trickles in (actix-http watches the head of a connection's first request alone), and which
/// does not idle for ever, unless its handler holds it. The dispatcher of actix-http would take in requests without end, and
/// keep them or their answers: nothing is read while a write waits for the peer, and no more than
/// a turn's bytes before what was read is handled.
///
/// The one timer is not set anew for each request. It goes off now and then, and is then set
/// to what is due by that time.
pub struct Deadline<T> {
    stream: T,
    waits: Waits,
    entry: Entry,
    mark: RequestMark,
    timer: Option<Pin<Box<Sleep>>>,
    turn: Turn,
    blocked: Option<Blocked>,
    /// Nothing was read yet.
    is_new: bool,
    /// The peer sends no more.
    is_at_end: bool,
    /// The wait was once begun anew since the last answer, as the process had stood still.
    was_renewed: bool,
    write_timeouts: Counter,
}

impl Deadline<TcpStream> {
    /// Watches a connection that was accepted; see [`new`](Self::new). Also returns the peer's
    /// address, if the system still knows it.
    ///
    /// # Errors
    /// When the connection is broken already.
    pub fn accept(
        stream: TcpStream,
        waits: Waits,
        entry: Entry,
        write_timeouts: Counter,
    ) -> io::Result<(Self, Option<SocketAddr>)> {
        // With Nagle's algorithm, the second of two events waits for the first to be acknowledged.
        stream.set_nodelay(true)?;
        let peer = stream.peer_addr().ok();
        Ok((Self::new(stream, waits, entry, write_timeouts), peer))
    }
}

impl<T> Deadline<T> {
    /// What the connection's handlers mark their progress on.
    pub fn request_mark(&self) -> RequestMark {
        self.mark.clone()
    }

    /// Watches a stream from now on. `write_timeouts` counts peers that took nothing.
    pub fn new(stream: T, waits: Waits, entry: Entry, write_timeouts: Counter) -> Self {
        Self {
            stream,
            waits,
            mark: entry.request_mark(),
            entry,
            timer: None,
            turn: Turn::default(),
            blocked: None,
            is_new: true,
            is_at_end: false,
            was_renewed: false,
            write_timeouts,
        }
    }

    /// The stream, watched no longer, and what counts it among the HTTP connections.
    pub fn into_parts(self) -> (T, Entry) {
        (self.stream, self.entry)
    }

    fn due(&self) -> Instant {
        if let Some(blocked) = &self.blocked {
            return blocked.due(self.waits.write);
        }
        let handling = self.mark.handling();
        self.entry.since()
            + match self.entry.waiting() {
                _ if handling != Handling::Nothing => self.waits.request,
                Waiting::FirstRequest | Waiting::NextRequest | Waiting::Close => self.waits.idle,
                Waiting::Answer => self.waits.head,
            }
    }

    /// Fails when it has been waited for too long, or others need the room.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.entry.must_end(cx) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        if self.note_held() && self.blocked.is_none() {
            return Ok(());
        }
        let mut due = self.due();
        let mut timer = match self.timer.take() {
            Some(timer) => timer,
            None => Box::pin(sleep_until(due)),
        };
        // It may be set for later than what is due now: idling is usually allowed for longer.
        if timer.deadline() > due {
            timer.as_mut().reset(due);
        }
        while timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if now >= due {
                self.judge(now, due)?;
                due = self.due();
            }
            timer.as_mut().reset(due);
        }
        self.timer = Some(timer);
        Ok(())
    }

    /// Whether the request is held. Whoever holds it counts the connection, then, unless its peer does not
    /// take what is written: it may no longer be held by then, which the dispatcher does not know.
    fn note_held(&self) -> bool {
        let is_held = self.mark.handling() == Handling::Held;
        self.entry.set_held(is_held && self.blocked.is_none());
        is_held
    }

    /// What was waited for did not come in time. That it is noticed late means that the process
    /// stood still: what has come meanwhile may lie in the socket.
    fn judge(&mut self, now: Instant, due: Instant) -> io::Result<()> {
        if now >= due + STANDSTILL && !self.was_renewed && self.blocked.is_none() {
            self.was_renewed = true;
            self.entry.begin_anew();
            return Ok(());
        }
        if self.blocked.is_some() {
            self.write_timeouts.inc();
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    /// Bytes that may be read now. If there are none, whoever reads is woken when there are.
    fn may_read(&mut self, handling: Handling, cx: &mut Context<'_>) -> usize {
        if self.blocked.is_some_and(|blocked| blocked.is_full) {
            self.mark.set_left_over();
            return 0;
        }
        let left = self.turn.left(handling);
        if left > 0 {
            return left;
        }
        match handling {
            // Its answer comes first.
            Handling::Request | Handling::Held | Handling::WaitsForBody(0) => {
                self.mark.set_left_over()
            }
            Handling::Nothing | Handling::WaitsForBody(_) => {
                self.turn.end(handling);
                wake_after_others(cx);
            }
        }
        0
    }

    /// Fails if the request is held and its peer has gone: the dispatcher would wait for the answer all
    /// the same, as if there were anybody to take it.
    fn check_held(&self) -> io::Result<()> {
        if self.is_at_end && self.mark.handling() == Handling::Held {
            Err(io::ErrorKind::UnexpectedEof.into())
        } else {
            Ok(())
        }
    }

    /// Takes note of what became of an attempt to write.
    fn wrote(
        &mut self,
        outcome: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match &outcome {
            Poll::Ready(Ok(taken)) => {
                self.entry.on_written();
                self.was_renewed = false;
                if let Some(blocked) = &mut self.blocked {
                    blocked.took(*taken, Instant::now());
                }
            }
            Poll::Pending => {
                let blocked = self
                    .blocked
                    .get_or_insert_with(|| Blocked::new(Instant::now()));
                blocked.is_full = true;
                self.entry.set_blocked(true);
                if let Err(error) = self.poll_timer(cx) {
                    return Poll::Ready(Err(error));
                }
            }
            Poll::Ready(Err(_)) => {}
        }
        outcome
    }

    /// Takes note that the peer has taken all there was. The dispatcher flushes whenever it has
    /// nothing more to do, so that nothing may have been written at all.
    fn flushed(&mut self, cx: &mut Context<'_>) {
        self.blocked = None;
        self.entry.set_blocked(false);
        let handling = self.mark.handling();
        if self.note_held() || handling == Handling::Request {
            return;
        }
        self.turn.end(handling);
        if self.mark.take_left_over() {
            wake_after_others(cx);
        }
    }
}

impl<T> fmt::Debug for Deadline<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deadline")
            .field("waiting", &self.entry.waiting())
            .field("since", &self.entry.since())
            .finish_non_exhaustive()
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Deadline<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let handling = this.mark.handling();
        let most = this.may_read(handling, cx).min(buf.remaining());
        let outcome = match most {
            0 => Poll::Pending,
            most => poll_read_at_most(&mut this.stream, most, cx, buf),
        };
        match outcome {
            Poll::Ready(Ok(())) if buf.filled().len() > before => {
                if this.is_new {
                    this.is_new = false;
                    upgrade::offer_plainly(&mut buf.filled_mut()[before..]);
                }
                let read = &buf.filled()[before..];
                this.turn.read(read, read.len() == most, handling);
                this.mark.read(read.len());
                if matches!(handling, Handling::Request | Handling::Held) {
                    // The dispatcher may leave them until it is polled again.
                    this.mark.set_left_over();
                }
                this.entry.on_read();
                outcome
            }
            Poll::Ready(Ok(())) if buf.remaining() > 0 => {
                this.is_at_end = true;
                match this.check_held() {
                    Ok(()) => outcome,
                    Err(error) => Poll::Ready(Err(error)),
                }
            }
            // It is judged when the peer was given a chance to take it, which comes next.
            Poll::Pending if this.blocked.is_some() => Poll::Pending,
            Poll::Pending => match this.poll_timer(cx) {
                Ok(()) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            },
            other => other,
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Deadline<T> {
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
        match &outcome {
            Poll::Ready(Ok(())) => {
                this.flushed(cx);
                // The end may have come before the request was held.
                this.check_held()?;
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => return this.wrote(Poll::Pending, cx).map_ok(|_| ()),
        }
        outcome
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.wrote(outcome, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests;
